"""A sweep small enough for seconds, on the small simulated world."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from recsys.data.schema import Dataset
from tuning.journal import Ended, Outcome, Parameters
from tuning.objectives import Objective, Step
from tuning.problem import Problem, log_of, make_problem
from tuning.sweep import Questions, Sweep, checked_sweep

TINY: Mapping[str, Any] = {
    "data": {"max_users": 60},
    "budget": {"trials": 4, "minutes": 5, "look_every_trees": 4, "grace_trees": 4},
    "fixed": {
        "knowledge.recall.sequential.min_events": 2,
        "knowledge.recall.sequential.rank": 4,
        "knowledge.recall.svd.n_factors": 3,
        "cross_fit.n_folds": 2,
        "cross_fit.min_positions": 2,
        "cross_fit.max_positions": 2,
        "cross_fit.n_candidates": 10,
        "n_candidates": 15,
        "boosting.n_trees": 8,
        "boosting.max_depth": 2,
        "boosting.learning_rate": 0.3,
    },
    "space": {
        "recall": {"knowledge.recall.sequential.ridge": {"low": 2.0, "high": 200.0, "log": True}},
        "ranker": {"boosting.max_depth": {"low": 1, "high": 3}},
    },
}


@pytest.fixture
def tiny() -> dict[str, Any]:
    """The sweep as its file would hold it, to be changed at will."""
    return {name: dict(part) for name, part in TINY.items()}


@pytest.fixture(scope="session")
def tiny_sweep() -> Sweep:
    """Return the sweep, checked."""
    return checked_sweep(TINY)


@pytest.fixture(scope="session")
def problem(simulated: Dataset) -> Problem:
    """Return the validation questions of the simulated world."""
    return make_problem(log_of(simulated), simulated.items, Questions(max_users=60), seed=0)


@pytest.fixture(scope="session")
def row_of() -> Callable[..., Ended]:
    """Make the row of a trial."""

    def make(
        number: int,
        ndcg: float | None = None,
        ms: float = 1.0,
        *,
        outcome: Outcome = Outcome.FINISHED,
        parameters: Parameters | None = None,
        step: Step = Step.RANKER,
        error: str = "",
    ) -> Ended:
        measures = {} if ndcg is None else {Objective.NDCG: ndcg, Objective.LATENCY: ms}
        return Ended(
            step=step,
            number=number,
            parameters=parameters or {"boosting.max_depth": 1 + number % 3},
            outcome=outcome,
            measures=measures,
            error=error,
            seconds=1.0,
            elapsed_s=float(number),
        )

    return make
