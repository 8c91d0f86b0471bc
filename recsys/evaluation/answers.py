"""Ask a model about every test user, in batches, and keep one number per user and metric."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.core.clock import Clock
from recsys.core.errors import FieldError, ShapeError
from recsys.data.splits import Split
from recsys.evaluation.lists import (
    CatalogueFacts,
    diversity,
    exposure_of,
    novelty_bits,
    popularity_percentile,
)
from recsys.evaluation.metrics import Targets, accuracy, hits, recall
from recsys.evaluation.model import CandidateModel, Model
from recsys.features.users import NO_ITEM, UserBatch, batch_at

CANDIDATE_RECALL = "candidate_recall"
"""Share of a user's targets among the candidates: what no ranking can make good again."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model's lists were worth to each test user."""

    per_user: dict[str, NDArray[np.float64]]  # metric: shape (tests,)
    exposure: NDArray[np.int64]  # shape (items,), how often each item was shown
    answer_s: float  # for the lists alone
    n_candidates: int | None


def targets_of(split: Split) -> Targets:
    """Return the targets of all test users."""
    return Targets(split.target_offsets, split.target_rows)


def ask(
    model: Model,
    name: str,
    split: Split,
    facts: CatalogueFacts,
    *,
    ks: tuple[int, ...],
    list_length: int,
    batch_users: int,
    clock: Clock,
    on_share: Callable[[float], None] = lambda _: None,
) -> Answers:
    """Rank the whole catalogue for every test user as of the moment of the question.

    Args:
        model: what is asked.
        name: for error messages.
        split: users, histories and targets.
        facts: of the catalogue.
        ks: cuts of the accuracy metrics.
        list_length: how many places the list metrics and the exposure look at.
        batch_users: users asked at once.
        clock: monotonic.
        on_share: told which share of the users is done.

    Raises:
        ShapeError: a list does not have the length asked for.
        FieldError: a list names an unknown item, one twice, or one that must not be shown.
    """
    parts: list[dict[str, NDArray[np.float64]]] = []
    exposure = np.zeros(facts.n_items, dtype=np.int64)
    answer_s, n_candidates, longest = 0.0, None, max(*ks, list_length)
    for start in range(0, len(split), batch_users):
        stop = min(start + batch_users, len(split))
        users = _users(split, start, stop)
        targets = targets_of(split).slice(start, stop)
        started_s = clock()
        item_rows = model.top(users, longest)
        answer_s += clock() - started_s
        check_lists(name, item_rows, users, longest, facts.n_items)
        shown = item_rows[:, :list_length]
        exposure += exposure_of(shown, facts.n_items)
        parts.append(accuracy(item_rows, targets, ks) | _list_metrics(shown, facts, list_length))
        if isinstance(model, CandidateModel):
            candidates = model.candidates(users).item_rows
            n_candidates = candidates.shape[1]
            found = hits(candidates, targets)
            parts[-1][CANDIDATE_RECALL] = recall(found, targets.counts, n_candidates)
        on_share(stop / len(split))
    per_user = {metric: np.concatenate([part[metric] for part in parts]) for metric in parts[0]}
    return Answers(per_user, exposure, answer_s, n_candidates)


def check_lists(name: str, item_rows: NDArray[np.int32], users: UserBatch, n: int, n_items: int) -> None:
    """Refuse lists that break the contract of :class:`Model`, for their figures would flatter.

    Raises:
        ShapeError: not of shape (users, n).
        FieldError: an unknown item, an item twice, or an item that must not be shown.
    """
    if item_rows.shape != (len(users), n):
        raise ShapeError(f"lists of {name}", (len(users), n), item_rows.shape)
    if item_rows.size == 0:
        return
    if item_rows.min() < NO_ITEM or item_rows.max() >= n_items:
        raise FieldError(f"lists of {name}", "an unknown item row", f"rows from 0 to {n_items - 1}")
    ordered = np.sort(item_rows, axis=1)
    if np.any((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != NO_ITEM)):
        raise FieldError(f"lists of {name}", "an item twice for one user", "each item at most once")
    if hits(item_rows, Targets(users.excluded_offsets, users.excluded_rows)).any():
        raise FieldError(f"lists of {name}", "an item that the user has seen", "none of the excluded items")


def _users(split: Split, start: int, stop: int) -> UserBatch:
    """Return the users as they were at their question."""
    return batch_at(
        split.full, split.test_users[start:stop], split.test_stops[start:stop], split.now_s[start:stop]
    )


def _list_metrics(
    shown: NDArray[np.int32], facts: CatalogueFacts, length: int
) -> dict[str, NDArray[np.float64]]:
    return {
        f"diversity@{length}": diversity(shown, facts),
        f"novelty_bits@{length}": novelty_bits(shown, facts),
        f"popularity_percentile@{length}": popularity_percentile(shown, facts),
    }
