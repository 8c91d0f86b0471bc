from collections.abc import Callable

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from recsys.training.two_stage import TrainingConfig
from tuning.importance import FEWEST_TRIALS, importance
from tuning.journal import Ended, Outcome, Point
from tuning.objectives import Objective
from tuning.ranges import Between, Choices
from tuning.search import STUDY, distributions, sampler, storage_told, told
from tuning.settings_paths import all_paths

RowOf = Callable[..., Ended]
DEPTH, RIDGE, KIND = "boosting.max_depth", "knowledge.recall.sequential.ridge", "boosting.objective"
SPACE: dict[str, BaseDistribution] = {DEPTH: IntDistribution(1, 3), RIDGE: FloatDistribution(1.0, 9.0)}
BOTH = (Objective.NDCG, Objective.LATENCY)


def study_of(rows: list[Ended], objectives: tuple[Objective, ...] = (Objective.NDCG,)) -> optuna.Study:
    space = {DEPTH: SPACE[DEPTH]}
    storage = storage_told(space, objectives, rows, [{DEPTH: 3}])
    return optuna.load_study(study_name=STUDY, storage=storage, sampler=sampler(0, 20, len(rows)))


def test_the_kind_of_a_setting_decides_what_its_range_means() -> None:
    found = distributions(
        {
            RIDGE: Between(low=20, high=400, log=True),
            DEPTH: Between(low=2, high=9),
            "reranking.max_per_tag": Between(low=1, high=4),
            KIND: Choices(choices=("binary:logistic", "rank:ndcg")),
        },
        all_paths(TrainingConfig()),
    )
    assert found == {
        RIDGE: FloatDistribution(20.0, 400.0, log=True),
        DEPTH: IntDistribution(2, 9),
        "reranking.max_per_tag": IntDistribution(1, 4),
        KIND: CategoricalDistribution(("binary:logistic", "rank:ndcg")),
    }


def test_the_search_knows_how_every_trial_ended(row_of: RowOf) -> None:
    stopped = row_of(1, 0.1, outcome=Outcome.STOPPED).model_copy(
        update={"curve": (Point(n_trees=50, ndcg=0.1),)}
    )
    rows = [row_of(0, 0.2, 3.0), stopped, row_of(2, outcome=Outcome.FAILED)]
    one = study_of(rows).trials
    assert [trial.state for trial in one[:3]] == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL]
    assert one[0].value == 0.2
    assert one[1].intermediate_values == {50: 0.1}
    several = study_of(rows, BOTH).trials
    assert [trial.state for trial in several[:3]] == [TrialState.COMPLETE, TrialState.FAIL, TrialState.FAIL]
    assert several[0].values == [0.2, 3.0]


def test_what_must_come_first_comes_first(row_of: RowOf) -> None:
    study = study_of([row_of(0, 0.2)])
    assert study.ask({DEPTH: SPACE[DEPTH]}).params == {DEPTH: 3}


def test_the_search_moves_towards_what_was_good() -> None:
    space: dict[str, BaseDistribution] = {RIDGE: FloatDistribution(0.0, 1.0)}

    def row(number: int, at: float) -> Ended:
        return Ended.model_validate(
            {
                "step": "recall",
                "number": number,
                "parameters": {RIDGE: at},
                "outcome": "finished",
                "measures": {"ndcg@10": -abs(at - 0.8)},
                "seconds": 1,
                "elapsed_s": 1,
            }
        )

    rows = [row(number, at) for number, at in enumerate(np.linspace(0.0, 1.0, 25))]
    storage = storage_told(space, (Objective.NDCG,), rows, [])
    study = optuna.load_study(study_name=STUDY, storage=storage, sampler=sampler(0, 30, len(rows)))
    asked = [study.ask(space).params[RIDGE] for _ in range(9)]
    assert abs(float(np.median(asked)) - 0.8) < 0.2  # at random it would be 0.5 +- 0.2


def test_a_resumed_search_does_not_draw_its_first_trials_again() -> None:
    space: dict[str, BaseDistribution] = {RIDGE: FloatDistribution(0.0, 1.0)}

    def first_drawn(n_known: int) -> float:
        study = optuna.create_study(sampler=sampler(0, 50, n_known))
        return float(study.ask(space).params[RIDGE])

    assert first_drawn(0) == first_drawn(0)
    assert first_drawn(0) != first_drawn(3)


def test_a_row_without_a_figure_counts_as_failed(row_of: RowOf) -> None:
    row = row_of(0, float("nan")).model_copy(update={"parameters": {DEPTH: 1}})
    assert told(row, {DEPTH: SPACE[DEPTH]}, (Objective.NDCG,)).state is TrialState.FAIL


def test_what_decides_matters_most(row_of: RowOf) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for number in range(60):
        depth, ridge = int(rng.integers(1, 4)), float(rng.uniform(1.0, 9.0))
        parameters = {DEPTH: depth, RIDGE: ridge}
        rows.append(row_of(number, -((ridge - 4.0) ** 2), parameters=parameters))
    shares = importance(rows, SPACE, Objective.NDCG)
    assert next(iter(shares)) == RIDGE
    assert shares[RIDGE] > 0.8
    assert sum(shares.values()) == pytest.approx(1.0)


def test_of_few_or_equal_trials_nothing_is_said(row_of: RowOf) -> None:
    few = [row_of(n, 0.1 * n, parameters={DEPTH: 1, RIDGE: 2.0}) for n in range(FEWEST_TRIALS - 1)]
    equal = [row_of(n, 0.5, parameters={DEPTH: 1, RIDGE: 2.0}) for n in range(20)]
    assert importance(few, SPACE, Objective.NDCG) == importance(equal, SPACE, Objective.NDCG) == {}
