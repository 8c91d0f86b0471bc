import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tuning.journal import Ended
from tuning.problem import Problem
from tuning.scaling import Measured, equal_trials, measure, span_s
from tuning.sweep import checked_sweep

RowOf = Callable[..., Ended]
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of shared memory")


def test_the_span_of_a_sweep_leaves_out_what_comes_before_its_trials(row_of: RowOf) -> None:
    rows = [
        row_of(number, 0.1).model_copy(update={"seconds": seconds, "elapsed_s": elapsed_s})
        for number, seconds, elapsed_s in ((0, 10.0, 25.0), (1, 12.0, 26.0), (2, 9.0, 35.0))
    ]
    assert span_s(rows) == 21.0  # 14 to 35
    assert Measured(2, 3, 21.6, 900.0, 300.0).trials_per_hour == pytest.approx(500.0)


def test_trials_that_are_compared_are_equal_but_for_what_costs_nothing() -> None:
    sweep = equal_trials(n_trials=8, n_workers=2, n_trees=300, max_users=100)
    assert list(sweep.space.ranker) == ["boosting.learning_rate"]
    assert sweep.budget.grace_trees == sweep.base.boosting.n_trees == 300  # nothing is stopped before its end
    assert (sweep.budget.concurrent, sweep.data.max_users) == (2, 100)


@pytest.mark.slow
@linux
def test_a_sweep_is_measured_with_its_memory(problem: Problem, tiny: dict[str, Any], tmp_path: Path) -> None:
    tiny["budget"] |= {"trials": 2, "grace_trees": 8}
    del tiny["space"]["recall"]
    found = measure(problem, checked_sweep(tiny), tmp_path)
    assert (found.n_workers, found.n_trials) == (2, 2)
    assert found.seconds > 0.0
    assert 0.0 < found.trials_mb < found.peak_mb
