import numpy as np
import pytest
from numpy.typing import NDArray

from recsys.experiments.cuped import adjust
from recsys.experiments.moments import Moments, moments_of

Floats = NDArray[np.float64]


def users(n: int, seed: int, effect: float = 0.0) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    before = rng.gamma(2.0, 2.0, n)
    return 0.5 * before + rng.normal(3.0 + effect, 1.0, n), before


def test_it_takes_out_the_squared_correlation() -> None:
    now, before = users(20_000, seed=1)
    adjusted = adjust({"a": moments_of(now, pre=before)})
    assert adjusted.variance_removed == pytest.approx(np.corrcoef(now, before)[0, 1] ** 2, abs=1e-9)
    assert adjusted.theta[0] == pytest.approx(0.5, abs=0.02)
    assert adjusted.arms["a"].ratio == pytest.approx(now.mean())  # one arm has everybody's past


def test_a_lucky_draw_of_users_is_put_right() -> None:
    now, before = users(40_000, seed=2)
    lucky = before > np.median(before)
    raw = {
        "control": moments_of(now[~lucky], pre=before[~lucky]),
        "treatment": moments_of(now[lucky], pre=before[lucky]),
    }
    fair = adjust(raw).arms
    assert raw["treatment"].ratio - raw["control"].ratio > 1.5
    assert fair["treatment"].ratio - fair["control"].ratio == pytest.approx(0.0, abs=0.05)


def test_the_effect_stays() -> None:
    arms = {
        name: moments_of(now, pre=before)
        for name, (now, before) in {
            "control": users(50_000, 3),
            "treatment": users(50_000, 4, effect=0.2),
        }.items()
    }
    fair = adjust(arms)
    error = np.sqrt(sum(m.variance / m.n for m in fair.arms.values()))
    assert fair.arms["treatment"].ratio - fair.arms["control"].ratio == pytest.approx(0.2, abs=5 * error)


def test_newcomers_are_a_stratum_of_their_own() -> None:
    now, before = users(10_000, seed=5)
    rng = np.random.default_rng(6)
    newcomer = rng.random(10_000) < 0.4
    now[newcomer] -= 4.0
    before[newcomer] = np.nan
    fair = adjust({"a": moments_of(now, pre=before)})
    design = np.stack([np.ones(10_000), np.nan_to_num(before), ~newcomer], axis=1)
    left = np.linalg.lstsq(design, now, rcond=None)[1][0] / (10_000 - 1)
    assert fair.arms["a"].variance == pytest.approx(left)
    assert fair.arms["a"].n == 10_000


def test_a_ratio_is_adjusted_as_its_users_parts_are() -> None:
    rng = np.random.default_rng(7)
    taste = rng.beta(2, 6, 5_000)
    shown = 1 + rng.poisson(10, 5_000)
    watched, before = rng.binomial(shown, taste), rng.binomial(30, taste)
    fair = adjust({"a": moments_of(watched, shown, before)})
    ratio = watched.sum() / shown.sum()
    parts = (watched - ratio * shown) / shown.mean()
    left = np.polyfit(before, parts, 1, full=True)[1][0] / (5_000 - 1)
    assert fair.arms["a"].variance == pytest.approx(left)
    assert 0.2 < fair.variance_removed < 0.9


@pytest.mark.parametrize("before", [None, np.full(4, 7.0), np.full(4, np.nan)])
def test_a_past_that_says_nothing_changes_nothing(before: Floats | None) -> None:
    moments = moments_of([1.0, 2.0, 3.0, 5.0], pre=before)
    fair = adjust({"a": moments, "empty": Moments()})
    np.testing.assert_allclose(fair.arms["a"].means, moments.means, atol=1e-12)
    assert fair.arms["a"].variance == pytest.approx(moments.variance)
    assert fair.variance_removed == pytest.approx(0.0, abs=1e-12)
