import numpy as np
import pytest

pytest.importorskip("river", reason="the extra drift is not installed")

from river.drift import PageHinkley

from recsys.drift.change_points import (
    ADWIN_NAME,
    PAGE_HINKLEY_NAME,
    Calibrated,
    ChangeConfig,
    calibrate,
    changes,
    page_hinkley_peak,
)

EVEN = tuple(np.linspace(0.0, 1.0, 51).tolist())  # the quantiles of evenly spread values
CONFIG = ChangeConfig(n_users=1_000, n_runs=50)


@pytest.fixture(scope="module")
def known() -> Calibrated:
    return calibrate(EVEN, CONFIG, seed=0)


@pytest.mark.parametrize("seed", range(5))
def test_the_peak_is_the_threshold_at_which_river_falls_silent(seed: int) -> None:
    values = np.random.default_rng(seed).random(300)
    peak = page_hinkley_peak(values, 0.01)
    for threshold, expected in ((peak * 1.0001, False), (peak * 0.9999, True)):
        detector = PageHinkley(delta=0.01, threshold=threshold, alpha=1.0)
        found = False
        for value in values.tolist():
            detector.update(value)
            found = found or detector.drift_detected
        assert found is expected


def test_a_drop_is_found_soon_after_it_by_both(known: Calibrated) -> None:
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.random(1_000), 0.4 * rng.random(1_000)])
    found = {one.detector: one for one in changes(values, np.arange(2_000.0), known)}
    assert set(found) == {ADWIN_NAME, PAGE_HINKLEY_NAME}
    for one in found.values():
        assert 1_000 <= one.at_s < 1_200
        assert one.before == pytest.approx(0.5, abs=0.05)
        assert one.after == pytest.approx(0.2, abs=0.05)


def test_a_steady_stream_is_as_rarely_said_to_change_as_stated(known: Calibrated) -> None:
    rng = np.random.default_rng(2)
    n_found = sum(len(changes(rng.random(1_000), np.arange(1_000.0), known)) for _ in range(50))
    # 100 looks at 0.02: 2 are expected, more than 9 have odds of 1 in 10^4; the limits are estimates, too
    assert n_found <= 9
