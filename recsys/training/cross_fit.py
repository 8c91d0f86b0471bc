"""Honest training rows for the ranker: cross-fit by user.

The recall models are fitted on all users but a fold; they name candidates for that fold's users at many
past positions. So every recall score that the ranker learns from is out of sample, as it will be for a user
who comes tomorrow. The true next item is never forced in: a question whose answer recall did not name is
left out.

Source: cross-fitting as in stacked generalisation, Wolpert 1992.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from recsys.core.settings import FrozenModel
from recsys.data.log import InteractionLog
from recsys.features.items import ItemTable
from recsys.features.users import UserBatch, batch_at
from recsys.ranking.matrix import FEATURES, Knowledge, KnowledgeConfig, candidate_matrix, fit_knowledge
from recsys.recall.sources import name_candidates

Step = Callable[[str, float], None]
"""Told what is being done and which share of it is done, in [0, 1]."""


class CrossFitConfig(FrozenModel):
    """Which questions the ranker learns from."""

    n_folds: int = Field(default=3, ge=2)
    """Groups of users; recall is fitted once per group and once more for serving."""

    min_positions: PositiveInt = 8
    """Past positions asked of each user, the latest ones, however many users there are."""

    max_positions: PositiveInt = 30
    """With few users, more positions of each are asked, up to so many."""

    n_candidates: PositiveInt = 120
    """Candidates per question."""

    max_questions: PositiveInt = 30_000
    """About so many questions in all; with many users, only some are asked, in one small fold."""

    batch_users: PositiveInt = 256
    """Questions handled at once."""


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """The candidate matrix of all questions whose answer was among the candidates."""

    matrix: NDArray[np.float32]  # shape (rows, features)
    labels: NDArray[np.float32]  # shape (rows,): 1.0 for the item that came next
    groups: NDArray[np.int64]  # shape (questions,): rows of each question
    n_asked: int  # questions before those without an answer were left out


@dataclass(frozen=True, slots=True)
class Questions:
    """Users at past moments, and what they chose next."""

    users: NDArray[np.int64]  # shape (questions,), user rows
    stops: NDArray[np.int64]  # shape (questions,), the position in the log that is asked for

    def __len__(self) -> int:
        return len(self.users)


def questions(log: InteractionLog, users: NDArray[np.bool_], n_positions: int) -> Questions:
    """Return the latest positions of the marked users that have at least one position before them."""
    ends = np.repeat(log.offsets[1:], log.lengths)
    starts = np.repeat(log.offsets[:-1], log.lengths)
    positions = np.arange(len(ends))
    asked = (positions >= ends - n_positions) & (positions > starts) & np.repeat(users, log.lengths)
    stops = np.flatnonzero(asked)
    return Questions(log.user_rows[stops].astype(np.int64), stops)


def cross_fit(
    log: InteractionLog,
    items: ItemTable,
    knowledge_config: KnowledgeConfig,
    config: CrossFitConfig,
    *,
    seed: int,
    on_step: Step = lambda _, __: None,
) -> TrainingRows:
    """Return the ranker's training rows, every recall score out of sample."""
    rng = np.random.default_rng(seed)
    n_positions = min(
        config.max_positions, max(config.min_positions, config.max_questions // max(1, log.n_users))
    )
    folds = _folds(log, n_positions, config, rng)
    parts: list[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]] = []
    n_asked = 0
    for number, fold in enumerate(folds):
        label = f"fold {number + 1} of {len(folds)}"
        known = fit_knowledge(
            log.of_users(~fold), items, knowledge_config, seed=seed, on_step=_named(on_step, label)
        )
        asked = questions(log, fold, n_positions)
        n_asked += len(asked)
        done = 0
        for batch in _batches(asked, config.batch_users):
            on_step(f"{label}: candidates", done / max(1, len(asked)))
            parts.append(_rows_of(log, known, batch, knowledge_config, config))
            done += len(batch)
    return _joined(parts, n_asked)


def _folds(
    log: InteractionLog, n_positions: int, config: CrossFitConfig, rng: np.random.Generator
) -> list[NDArray[np.bool_]]:
    """Split the users into folds; with more users than are needed, one small fold is enough."""
    per_user = np.minimum(np.maximum(log.lengths - 1, 0), n_positions)
    asking = rng.permutation(np.flatnonzero(per_user))
    wanted = int(np.searchsorted(np.cumsum(per_user[asking]), config.max_questions)) + 1
    n_folds = 1 if wanted < len(asking) // config.n_folds else config.n_folds
    groups = [group for group in np.array_split(asking[:wanted], n_folds) if group.size]
    folds = np.zeros((len(groups), log.n_users), dtype=np.bool_)
    for fold, group in zip(folds, groups, strict=True):
        fold[group] = True
    return list(folds)


def _batches(asked: Questions, size: int) -> Iterator[Questions]:
    for start in range(0, len(asked), size):
        yield Questions(asked.users[start : start + size], asked.stops[start : start + size])


def users_at(log: InteractionLog, asked: Questions) -> UserBatch:
    """Return the users as they were at the moment of each question."""
    stops = asked.stops
    return batch_at(log, asked.users, stops, log.times_s[stops], log.context_rows[stops])


def _rows_of(
    log: InteractionLog,
    known: Knowledge,
    asked: Questions,
    knowledge_config: KnowledgeConfig,
    config: CrossFitConfig,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    users = users_at(log, asked)
    blocked = users.blocked(log.n_items)
    candidates = name_candidates(
        known.sources, users, config.n_candidates, knowledge_config.recall.quotas, blocked
    )
    hit = candidates.item_rows == log.item_rows[asked.stops][:, None]
    answered = hit.any(axis=1)
    kept = (candidates.item_rows >= 0) & answered[:, None]
    matrix = candidate_matrix(users, candidates, known)[kept]
    return matrix, hit[kept].astype(np.float32), kept.sum(axis=1)[answered]


def _joined(
    parts: list[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]], n_asked: int
) -> TrainingRows:
    if not parts:
        empty = np.zeros(0, dtype=np.float32)
        return TrainingRows(np.zeros((0, len(FEATURES)), np.float32), empty, np.zeros(0, np.int64), n_asked)
    matrices, labels, groups = zip(*parts, strict=True)
    return TrainingRows(np.concatenate(matrices), np.concatenate(labels), np.concatenate(groups), n_asked)


def _named(on_step: Step, label: str) -> Callable[[str], None]:
    return lambda name: on_step(f"{label}: {name}", 0.0)
