"""The figures of a trial: how good the lists are, and what they cost."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from recsys.core.clock import Clock
from recsys.evaluation.answers import targets_of
from recsys.evaluation.lists import coverage, diversity, exposure_of
from recsys.evaluation.metrics import hits, ndcg, recall
from recsys.features.users import UserBatch
from recsys.registry.bundle import BundleWriter
from recsys.registry.writer import FolderBundleWriter
from tuning.objectives import Objective
from tuning.parts import Recalled
from tuning.problem import Problem

LIST_LENGTH = 10
BATCH_USERS = 16
"""Requests that the router hands on together, more or less."""

_BATCHES = 15
_MS = 1e3
_MB = 1e6

Measures = dict[str, float]
"""Values by objective."""


def of_candidates(problem: Problem, recalled: Recalled) -> Measures:
    """Return which share of each user's answers is among the candidates, the mean over users."""
    n_answers = targets_of(problem.split).counts
    shares = recall(recalled.hit, n_answers, recalled.hit.shape[1])
    return {Objective.CANDIDATES: float(shares.mean())}


def of_lists(problem: Problem, item_rows: NDArray[np.int32]) -> Measures:
    """Return accuracy, coverage and diversity of lists, shape (questions, LIST_LENGTH)."""
    answers = targets_of(problem.split)
    gains = ndcg(hits(item_rows, answers), answers.counts, LIST_LENGTH)
    return {
        Objective.NDCG: float(gains.mean()),
        Objective.COVERAGE: coverage(exposure_of(item_rows, problem.facts.n_items)),
        Objective.DIVERSITY: float(diversity(item_rows, problem.facts).mean()),
    }


def ndcg_of_scores(problem: Problem, hit: NDArray[np.bool_], scores: NDArray[np.float32]) -> float:
    """Return the mean NDCG of the lists that scores alone would make.

    Args:
        problem: counts the answers.
        hit: shape (questions, candidates), which candidates are answers.
        scores: same shape, -inf where padded.
    """
    order = np.argsort(-scores, axis=1, kind="stable")[:, :LIST_LENGTH]
    best = np.take_along_axis(hit, order, axis=1)
    return float(ndcg(best, targets_of(problem.split).counts, LIST_LENGTH).mean())


def ms_per_request(answer: Callable[[UserBatch], object], users: UserBatch, clock: Clock) -> float:
    """Return milliseconds per request: the median over batches of 16, on one thread.

    Args:
        answer: what a batch goes through.
        users: who asks; the first batch is asked once before, so that nothing is compiled in a measurement.
        clock: seconds; best those that this thread has computed, for trials share the machine.
    """
    batches = [users.slice(start, start + BATCH_USERS) for start in _starts(len(users))]
    spent_ms = []
    with threadpool_limits(limits=1):
        answer(batches[0])
        for batch in batches:
            began_s = clock()
            answer(batch)
            spent_ms.append(_MS * (clock() - began_s) / len(batch))
    return float(np.median(spent_ms))


def _starts(n_users: int) -> range:
    return range(0, max(1, min(n_users - BATCH_USERS + 1, _BATCHES * BATCH_USERS)), BATCH_USERS)


def bundle_mb(save: Callable[[BundleWriter], None]) -> float:
    """Return how large what ``save`` writes is, in 10^6 bytes."""
    with tempfile.TemporaryDirectory(prefix="marquee-tune-") as folder:
        save(FolderBundleWriter(Path(folder)))
        return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file()) / _MB
