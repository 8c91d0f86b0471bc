from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from recsys.core.errors import FieldError
from recsys.data.log import InteractionLog
from recsys.data.splits import Split, leave_last_out
from recsys.evaluation.cost_curve import CostCurve, Scored, cost_curve, curve_table, made_up_costs

N_USERS, N_ITEMS = 200, 12


@pytest.fixture
def split(log_of: Callable[..., InteractionLog]) -> Split:
    """Everybody has met items 0 and 1 and goes on to item 2 + (user mod 10)."""
    return leave_last_out(
        log_of([[(0, 0.0), (1, 1.0), (2 + user % 10, 2.0)] for user in range(N_USERS)], N_ITEMS)
    )


@pytest.fixture
def asked(split: Split) -> Scored:
    """The right item gets 5, the others less at random."""
    rng = np.random.default_rng(0)
    rows = np.tile(np.arange(2, N_ITEMS, dtype=np.int32), (len(split), 1))
    scores = rng.random(rows.shape).astype(np.float32)
    scores[rows == split.target_rows[:, None]] = 5.0
    return Scored(rows, scores)


def costs() -> NDArray[np.float32]:
    return np.linspace(1.0, 2.0, N_ITEMS, dtype=np.float32)


def curve(asked: Scored, split: Split, **changed: object) -> CostCurve:
    given: dict[str, object] = {"data": "d", "costs_from": "c", "n": 3, "saved": (0.0, 0.05, 0.1)} | changed
    return cost_curve(asked, split, costs(), **given)  # type: ignore[arg-type]


def test_at_no_saving_everything_is_kept(asked: Scored, split: Split) -> None:
    first = curve(asked, split).points[0]
    assert (first.weight, first.saved, first.quality.value) == (0.0, 0.0, 1.0)
    assert (first.kept.value, first.kept.low, first.kept.high) == (1.0, 1.0, 1.0)


def test_the_budget_holds_for_users_that_it_was_not_made_on(asked: Scored, split: Split) -> None:
    found = curve(asked, split)
    assert found.n_priced_users == found.n_judged_users == N_USERS // 2
    weights = [point.weight for point in found.points]
    assert weights == sorted(weights)
    for point in found.points:
        assert point.saved == pytest.approx(point.wanted, abs=0.02)
        assert point.kept.value == 1.0  # the right item's lead is worth more than any cost


def test_quality_falls_when_right_items_are_too_dear(asked: Scored, split: Split) -> None:
    close = Scored(asked.item_rows, np.minimum(asked.scores, 1.0))
    last = curve(close, split, saved=(0.0, 0.15)).points[-1]
    assert last.kept.low <= last.kept.value < 1.0


def test_the_table_says_where_the_costs_are_from(asked: Scored, split: Split) -> None:
    page = curve_table(curve(asked, split, costs_from="made up"))
    assert "Costs: made up." in page
    assert page.count("\n| ") == 2 + 3


def test_a_curve_that_does_not_begin_at_nothing_is_refused(asked: Scored, split: Split) -> None:
    with pytest.raises(FieldError, match="0 first"):
        curve(asked, split, saved=(0.1,))


def test_savings_out_of_reach_are_left_out(asked: Scored, split: Split) -> None:
    assert [point.wanted for point in curve(asked, split, saved=(0.0, 0.05, 0.9)).points] == [0.0, 0.05]


def test_made_up_costs_are_the_same_for_a_seed_and_dearer_for_popular_items(
    log_of: Callable[..., InteractionLog],
) -> None:
    log = log_of([[(0, 0.0)], [(0, 0.0)], [(1, 0.0)]], 3)
    assert made_up_costs(log, seed=1).tolist() == made_up_costs(log, seed=1).tolist()
    assert made_up_costs(log, seed=1).tolist() != made_up_costs(log, seed=2).tolist()
    mean = np.mean([np.log(made_up_costs(log, seed=seed)) for seed in range(400)], axis=0)
    # spread 0.8 over 400 draws: 0.04 each; items 0 and 2 are 0.3 * log(3) = 0.33 apart, six errors
    assert mean[0] > mean[2]


def test_the_curve_is_drawn(asked: Scored, split: Split, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra 'plots' is not installed")
    from recsys.evaluation.cost_plot import draw_curve

    assert draw_curve(curve(asked, split), tmp_path / "new").stat().st_size > 1_000
