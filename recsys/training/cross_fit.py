"""Honest training rows for the ranker: cross-fit by user.

The recall models are fitted on all users but a fold; they name candidates for that fold's users at many
past positions. So every recall score that the ranker learns from is out of sample, as it will be for a user
who comes tomorrow. The true next item is never forced in: a question whose answer recall did not name is
left out.

Source: cross-fitting as in stacked generalisation, Wolpert 1992.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveInt

from recsys.core.settings import FrozenModel
from recsys.core.threads import end_if_left, side_by_side, wait_for
from recsys.data.log import InteractionLog
from recsys.features.items import ItemTable
from recsys.features.users import UserBatch, batch_at
from recsys.ranking.matrix import FEATURES, Knowledge, KnowledgeConfig, candidate_matrix, fit_knowledge
from recsys.recall.candidates import Candidates
from recsys.recall.shelf import Shelf
from recsys.recall.sources import name_candidates

Step = Callable[[str, float], None]
"""Told what is being done and which share of it is done, in [0, 1]."""

FITS_AT_ONCE: Final = 2
"""Each solves the sequential regression, in memory that grows with the square of its items."""


class CrossFitConfig(FrozenModel):
    """Which questions the ranker learns from."""

    n_folds: int = Field(default=3, ge=2)
    """Groups of users; recall is fitted once per group and once more for serving."""

    min_positions: PositiveInt = 8
    """Past positions asked of each user, the latest ones, however many users there are."""

    max_positions: PositiveInt = 100
    """With few users, more positions of each are asked, up to so many."""

    n_candidates: PositiveInt = 120
    """Candidates per question."""

    negatives_per_question: PositiveInt = 30
    """Candidates besides the answer that a question keeps as rows; with fewer, more can be asked."""

    hard_negatives: NonNegativeInt = 15
    """So many of them are the best by recall; the others are drawn, and count for those left out."""

    max_questions: PositiveInt = 120_000
    """About so many questions in all; with many users, only some are asked, in one small fold."""

    batch_users: PositiveInt = 256
    """Questions handled at once."""


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """The candidate matrix of all questions whose answer was among the candidates."""

    matrix: NDArray[np.float32]  # shape (rows, features)
    labels: NDArray[np.float32]  # shape (rows,): 1.0 for the item that came next
    weights: NDArray[np.float32]  # shape (rows,): for how many candidates a row stands, 1.0 or more
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
    shelf: Shelf | None = None,
    on_step: Step = lambda _, __: None,
) -> TrainingRows:
    """Return the ranker's training rows, every recall score out of sample; folds are fitted side by side."""
    with side_by_side(FITS_AT_ONCE) as pool:
        tasks = fold_tasks(log, items, knowledge_config, config, seed=seed, shelf=shelf, on_step=on_step)
        rows = [pool.submit(task) for task in tasks]
        wait_for(rows)
    return joined([each.result() for each in rows])


def fold_tasks(
    log: InteractionLog,
    items: ItemTable,
    knowledge_config: KnowledgeConfig,
    config: CrossFitConfig,
    *,
    seed: int,
    shelf: Shelf | None = None,
    on_step: Step = lambda _, __: None,
) -> list[Callable[[], TrainingRows]]:
    """Return what makes the rows of each fold, to be called in any order or side by side.

    Args:
        log: all that may be learned from.
        items: the catalogue.
        knowledge_config: settings of what is fitted without a fold's users.
        config: questions, candidates and rows.
        seed: of folds, fits and draws.
        shelf: keeps what takes longest, see :class:`recsys.recall.shelf.Shelf`.
        on_step: told what is being done, of several folds at a time.
    """
    rng = np.random.default_rng(seed)
    n_positions = min(
        config.max_positions, max(config.min_positions, config.max_questions // max(1, log.n_users))
    )
    folds = _folds(log, n_positions, config, rng)

    def rows_of_fold(number: int, fold: NDArray[np.bool_], draws: np.random.Generator) -> TrainingRows:
        label = f"fold {number} of {len(folds)}"
        rest, told = log.of_users(~fold), _named(on_step, label)
        known = fit_knowledge(rest, items, knowledge_config, seed=seed, shelf=shelf, on_step=told)
        asked = questions(log, fold, n_positions)
        parts, done = [], 0
        for batch in _batches(asked, config.batch_users):
            end_if_left()
            on_step(f"{label}: candidates", done / max(1, len(asked)))
            parts.append(_rows_of(log, known, batch, knowledge_config, config, draws))
            done += len(batch)
        return joined(parts)

    each = zip(folds, rng.spawn(len(folds)), strict=True)
    return [partial(rows_of_fold, number, *its) for number, its in enumerate(each, start=1)]


def rows_at(
    log: InteractionLog,
    known: Knowledge,
    asked: Questions,
    knowledge_config: KnowledgeConfig,
    config: CrossFitConfig,
    *,
    seed: int,
) -> TrainingRows:
    """Return the rows of questions whose answers ``known`` has not seen.

    Args:
        log: with questions and answers, in the rows of the catalogue that ``known`` was fitted on.
        known: fitted on other users, or on what was before.
        asked: any number of them; of more than ``config.max_questions`` a draw.
        knowledge_config: the quotas of the candidates.
        config: candidates and rows per question.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    if len(asked) > config.max_questions:
        drawn = np.sort(rng.choice(len(asked), config.max_questions, replace=False))
        asked = Questions(asked.users[drawn], asked.stops[drawn])
    batches = _batches(asked, config.batch_users)
    return joined([_rows_of(log, known, batch, knowledge_config, config, rng) for batch in batches])


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
    rng: np.random.Generator,
) -> TrainingRows:
    users = users_at(log, asked)
    blocked = users.blocked(log.n_items)
    candidates = name_candidates(
        known.sources, users, config.n_candidates, knowledge_config.recall.quotas, blocked
    )
    hit = candidates.item_rows == log.item_rows[asked.stops][:, None]
    answered = np.flatnonzero(hit.any(axis=1))
    columns, weights = sampled(hit[answered], candidates.item_rows[answered] >= 0, config, rng)
    kept = weights > 0
    some = Candidates(
        np.take_along_axis(candidates.item_rows[answered], columns, axis=1),
        np.take_along_axis(candidates.source_ranks[answered], columns[:, :, None], axis=1),
    )
    matrix = candidate_matrix(users.take(answered), some, known)[kept]
    labels = np.take_along_axis(hit[answered], columns, axis=1)[kept]
    return TrainingRows(matrix, labels.astype(np.float32), weights[kept], kept.sum(axis=1), len(asked))


def sampled(
    hit: NDArray[np.bool_], named: NDArray[np.bool_], config: CrossFitConfig, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Choose each question's rows: the answer, the best of the others by recall, and a draw of the rest.

    Args:
        hit: shape (questions, candidates), True at the answer, candidates in recall order.
        named: same shape, False where padded.
        config: how many of each.
        rng: of the draw.

    Returns:
        Columns, shape (questions, rows each), in recall order. Their weights, 0.0 for padding: what is drawn
        stands for all that it was drawn from, so that the weighted rows are as many as the candidates.
    """
    wrong = named & ~hit
    n_hard = min(config.hard_negatives, config.negatives_per_question)
    hard = wrong & (np.cumsum(wrong, axis=1) <= n_hard)
    rest = wrong & ~hard
    n_drawn = config.negatives_per_question - n_hard
    n_rest = rest.sum(axis=1, keepdims=True)
    stands_for = n_rest / np.maximum(np.minimum(n_rest, n_drawn), 1)
    weights = np.where(hit | hard, 1.0, np.where(rest, stands_for, 0.0)).astype(np.float32)
    order = np.where(hit, -2.0, np.where(hard, -1.0, np.where(rest, rng.random(hit.shape), np.inf)))
    n_each = min(config.negatives_per_question + 1, hit.shape[1])
    columns = np.sort(np.argsort(order, axis=1, kind="stable")[:, :n_each], axis=1)
    return columns, np.take_along_axis(weights, columns, axis=1)


def joined(parts: Sequence[TrainingRows]) -> TrainingRows:
    """Return the rows of several parts, one after the other."""
    if not parts:
        none = np.zeros(0, dtype=np.float32)
        return TrainingRows(np.zeros((0, len(FEATURES)), np.float32), none, none, np.zeros(0, np.int64), 0)
    return TrainingRows(
        np.concatenate([part.matrix for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.weights for part in parts]),
        np.concatenate([part.groups for part in parts]),
        sum(part.n_asked for part in parts),
    )


def _named(on_step: Step, label: str) -> Callable[[str], None]:
    return lambda name: on_step(f"{label}: {name}", 0.0)
