"""One trial as a plain function: it knows no Ray and can be called alone."""

import time
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recsys.core.clock import Clock
from recsys.ranking.boosting import Watch, fit_ranker
from recsys.recall.shelf import Shelf
from recsys.training.two_stage import TrainingConfig, assembled, heads_of
from tuning.measures import (
    LIST_LENGTH,
    Measures,
    bundle_mb,
    ms_per_request,
    ndcg_of_scores,
    of_candidates,
    of_lists,
)
from tuning.objectives import Objective, Step
from tuning.parts import Parts, make_parts, make_recalled
from tuning.problem import Problem

N_TREES: Final = "n_trees"
"""What a report counts beside NDCG@10: how far the trial is."""

Report = Callable[[Mapping[str, float]], None]
"""Told how far a trial is and how good; what it raises ends the trial."""


def run_trial(
    problem: Problem,
    config: TrainingConfig,
    report: Report = lambda _: None,
    *,
    step: Step = Step.JOINT,
    parts: Parts | None = None,
    shelf: Shelf | None = None,
    look_every_trees: int = 50,
    clock: Clock = time.thread_time,
) -> Measures:
    """Train on the past, answer the validation questions, and say how good that was and what it cost.

    Args:
        problem: past and questions.
        config: settings of the training.
        report: told NDCG@10 while the trees grow.
        step: with ``recall``, there is no ranker: candidates, time and size of recall alone.
        parts: made under settings that differ from these in nothing but ranker and reranking; made here when
            absent.
        shelf: what recall has learned already under settings that trials share.
        look_every_trees: how often to report.
        clock: of the thread, see :func:`tuning.measures.ms_per_request`.

    Returns:
        A value for every objective, for recall alone those of :data:`tuning.objectives.OF_RECALL_ALONE`.

    Raises:
        ConflictError: the parts were made under other settings.
    """
    if step is Step.RECALL:
        return _recall_trial(problem, config, shelf, clock)
    if parts is None:
        parts = make_parts(problem, config, shelf)
    parts.check(config)
    return _ranker_trial(problem, config, report, parts, look_every_trees, clock)


def _recall_trial(problem: Problem, config: TrainingConfig, shelf: Shelf | None, clock: Clock) -> Measures:
    recalled = make_recalled(problem, config, shelf)
    spent_ms = ms_per_request(
        lambda users: recalled.stage.recall(users, config.n_candidates), recalled.users, clock
    )
    return of_candidates(problem, recalled) | {
        Objective.LATENCY: spent_ms,
        Objective.SIZE: bundle_mb(recalled.known.save),
    }


def _ranker_trial(
    problem: Problem,
    config: TrainingConfig,
    report: Report,
    parts: Parts,
    look_every_trees: int,
    clock: Clock,
) -> Measures:
    recalled = parts.recalled

    def look(n_trees: int, margins: NDArray[np.float32]) -> None:
        ndcg = ndcg_of_scores(problem, recalled.hit, _scores(parts, margins))
        report({N_TREES: float(n_trees), Objective.NDCG: ndcg})

    ranker = fit_ranker(
        parts.rows.matrix,
        parts.rows.labels,
        parts.rows.groups,
        config.boosting,
        weights=parts.rows.weights,
        seed=config.seed,
        watch=Watch(parts.matrix, look_every_trees, look),
    )
    train = problem.split.train
    heads = heads_of(None, train, recalled.known, config)  # a sweep reads no impressions: a weight is refused
    model = assembled(recalled.known, ranker, problem.items, train, config, heads)
    scores = _scores(parts, ranker.score(parts.matrix))
    lists = model.reranking.rerank(recalled.candidates.item_rows, scores, LIST_LENGTH).item_rows
    return {
        **of_lists(problem, lists),
        **of_candidates(problem, recalled),
        Objective.LATENCY: ms_per_request(lambda users: model.top(users, LIST_LENGTH), recalled.users, clock),
        Objective.SIZE: bundle_mb(model.save),
    }


def _scores(parts: Parts, margins: NDArray[np.float32]) -> NDArray[np.float32]:
    item_rows = parts.recalled.candidates.item_rows
    return np.where(item_rows >= 0, margins.reshape(item_rows.shape), np.float32(-np.inf))
