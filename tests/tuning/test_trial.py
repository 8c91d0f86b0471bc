import itertools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from recsys.core.errors import ConflictError
from recsys.evaluation.answers import CANDIDATE_RECALL, ask
from recsys.evaluation.lists import coverage
from recsys.training.two_stage import TrainingConfig, fit_two_stage
from tuning.measures import Measures, ms_per_request
from tuning.objectives import OF_RECALL_ALONE, Objective, Step
from tuning.parts import Parts, make_parts, parts_key, store_bytes
from tuning.problem import Problem
from tuning.settings_paths import with_settings
from tuning.sweep import Sweep
from tuning.trial import N_TREES, run_trial

QUALITY = (Objective.NDCG, Objective.CANDIDATES, Objective.COVERAGE, Objective.DIVERSITY)


@pytest.fixture(scope="module")
def config(tiny_sweep: Sweep) -> TrainingConfig:
    return tiny_sweep.base


@pytest.fixture(scope="module")
def parts(problem: Problem, config: TrainingConfig) -> Parts:
    return make_parts(problem, config)


def quality(measures: Measures) -> dict[str, float]:
    return {objective.value: measures[objective] for objective in QUALITY}


def test_a_trial_is_as_good_as_the_pipeline_that_its_settings_train(
    problem: Problem, config: TrainingConfig
) -> None:
    measures = run_trial(problem, config)
    pipeline = fit_two_stage(problem.split.train, problem.items, config)
    answers = ask(
        pipeline,
        "pipeline",
        problem.split,
        problem.facts,
        ks=(10,),
        list_length=10,
        batch_users=32,
        clock=lambda: 0.0,
    )
    expected = {
        "ndcg@10": answers.per_user["ndcg@10"].mean(),
        "recall@candidates": answers.per_user[CANDIDATE_RECALL].mean(),
        "coverage@10": coverage(answers.exposure),
        "diversity": answers.per_user["diversity@10"].mean(),
    }
    assert quality(measures) == pytest.approx(expected, abs=1e-12)
    assert set(measures) == set(Objective)
    assert measures[Objective.NDCG] > 0.0


def test_shared_parts_change_no_figure(problem: Problem, config: TrainingConfig, parts: Parts) -> None:
    other = with_settings(config, {"boosting.max_depth": 3, "reranking.pool": 40})
    with_parts, alone = run_trial(problem, other, parts=parts), run_trial(problem, other)
    assert quality(with_parts) == quality(alone)
    assert with_parts[Objective.SIZE] == pytest.approx(alone[Objective.SIZE], abs=1e-4)


@pytest.mark.parametrize("path", ["knowledge.recall.sequential.ridge", "cross_fit.n_candidates", "seed"])
def test_parts_of_other_settings_are_refused(
    problem: Problem, config: TrainingConfig, parts: Parts, path: str
) -> None:
    other = with_settings(config, {path: 7})
    assert parts_key(other) != parts.key
    with pytest.raises(ConflictError):
        run_trial(problem, other, parts=parts)


def test_a_trial_tells_how_good_it_is_while_its_trees_grow(
    problem: Problem, config: TrainingConfig, parts: Parts
) -> None:
    told: list[Mapping[str, float]] = []
    measures = run_trial(problem, config, told.append, parts=parts, look_every_trees=4)
    assert [report[N_TREES] for report in told] == [4.0, 8.0]
    assert told[-1][Objective.NDCG] == pytest.approx(measures[Objective.NDCG], abs=1e-12)
    half = run_trial(problem, with_settings(config, {"boosting.n_trees": 4}), parts=parts)
    assert told[0][Objective.NDCG] == pytest.approx(half[Objective.NDCG], abs=1e-12)


def test_whoever_listens_can_end_a_trial(problem: Problem, config: TrainingConfig, parts: Parts) -> None:
    def enough(_: Mapping[str, float]) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        run_trial(problem, config, enough, parts=parts, look_every_trees=4)


def test_recall_alone_has_the_candidates_of_the_whole(
    problem: Problem, config: TrainingConfig, parts: Parts
) -> None:
    alone = run_trial(problem, config, step=Step.RECALL)
    whole = run_trial(problem, config, parts=parts)
    assert set(alone) == set(OF_RECALL_ALONE)
    assert alone[Objective.CANDIDATES] == whole[Objective.CANDIDATES]
    assert alone[Objective.SIZE] < whole[Objective.SIZE]


def test_a_request_takes_its_part_of_a_batch(parts: Parts) -> None:
    ticks = itertools.count()  # a second from one look at the clock to the next
    sizes: list[int] = []
    spent_ms = ms_per_request(
        lambda users: sizes.append(len(users)), parts.recalled.users, lambda: float(next(ticks))
    )
    assert spent_ms == 1_000.0 / 16
    assert sizes == [16, 16, 16, 16]  # of 60 users three whole batches, the first one twice


def test_fewer_users_than_a_batch_are_asked_together(parts: Parts) -> None:
    ticks = itertools.count()
    few = parts.recalled.users.slice(0, 5)
    assert ms_per_request(len, few, lambda: float(next(ticks))) == 200.0


def test_the_store_has_room_for_what_is_shared(
    problem: Problem, config: TrainingConfig, parts: Parts
) -> None:
    shared = parts.rows.matrix.nbytes + parts.matrix.nbytes
    assert store_bytes(problem, config) > shared
    assert parts.matrix.nbytes == len(problem.split) * config.n_candidates * parts.matrix.shape[1] * 4


def test_what_a_trial_learns_from_holds_nothing_of_validation(
    problem: Problem, config: TrainingConfig
) -> None:
    asked_for = problem.split.target_rows
    other = replace(problem, split=replace(problem.split, target_rows=np.flip(asked_for).copy()))
    one, two = (make_parts(each, config) for each in (problem, other))
    assert one.matrix.tobytes() == two.matrix.tobytes()
    assert one.rows.matrix.tobytes() == two.rows.matrix.tobytes()
