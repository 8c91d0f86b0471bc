"""The full weights of the sequential regression, 16 bits each: all scores for less than an index costs.

A user's score is a sum of a few dozen rows. Each lies in memory in one piece, so the sum over all items runs
the speed of memory, which a low-rank index, with a product of hundreds of numbers each, does not reach.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recsys.core.compiled import compiled
from recsys.recall.selection import offer, sort_best_first
from recsys.recall.source import Ranked

_LARGEST: Final = np.float32(32_767)

Rows = NDArray[np.int32]
Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class NextWeights:
    """What each item that takes part says of each as the next one, per decayed sum."""

    quanta: NDArray[np.int16]  # shape (sums, head + 1, head + 1), last row and column 0; empty when not kept
    scales: NDArray[np.float32]  # shape (sums, head + 1): a weight is its quanta times the scale of its row
    head_of: Rows  # shape (items,): place among the items that take part, or the last, empty place
    items_of: Rows  # shape (head,), rising: the item of each place

    @property
    def kept(self) -> bool:
        """Whether there are any weights; where they are too large there are none."""
        return self.quanta.size > 0

    def search(
        self, history_rows: Rows, decays: tuple[Scores, Scores], blocked: NDArray[np.bool_], n: int
    ) -> Ranked:
        """Return the ``n`` items of the largest scores; nothing when no item of the history takes part.

        Args:
            history_rows: shape (users, length), the latest first, NO_ITEM behind the last.
            decays: per sum, what an item counts by its place in the history.
            blocked: shape (users, items), True where the item must not come back.
            n: how many.
        """
        best = Ranked.nothing(len(history_rows), n)
        _search(
            self.quanta,
            self.scales,
            self.head_of,
            self.items_of,
            history_rows,
            *decays,
            blocked,
            best.item_rows,
            best.scores,
        )
        return best

    def score(self, history_rows: Rows, decay: Scores, which: int, item_rows: Rows) -> Scores:
        """Return what one sum adds to the scores of given items, shape (users, items), 0.0 where padded."""
        scores = np.zeros(item_rows.shape, dtype=np.float32)
        _add(self.quanta[which], self.scales[which], self.head_of, history_rows, decay, item_rows, scores)
        return scores


def quantised(weights: Scores, head_of: Rows, items_of: Rows) -> NextWeights:
    """Keep weights of shape (sums, head, head) in 16 bits, to 1/65,534 of the largest of their row."""
    n_sums, n_head, _ = weights.shape
    scales = np.zeros((n_sums, n_head + 1), dtype=np.float32)
    scales[:, :-1] = np.abs(weights).max(axis=2, initial=0.0) / _LARGEST
    quanta = np.zeros((n_sums, n_head + 1, n_head + 1), dtype=np.int16)
    for which in range(n_sums):
        steps = np.where(scales[which, :-1] > 0, scales[which, :-1], np.float32(1.0))
        quanta[which, :-1, :-1] = np.rint(weights[which] / steps[:, None])
    return NextWeights(quanta, scales, head_of, items_of)


def none_kept(n_sums: int, head_of: Rows, items_of: Rows) -> NextWeights:
    """Return the form without weights."""
    quanta = np.zeros((n_sums, 0, 0), dtype=np.int16)
    return NextWeights(quanta, np.zeros((n_sums, 0), dtype=np.float32), head_of, items_of)


@compiled
def _search(
    quanta: NDArray[np.int16],
    scales: Scores,
    head_of: Rows,
    items_of: Rows,
    history_rows: Rows,
    first_decay: Scores,
    second_decay: Scores,
    blocked: NDArray[np.bool_],
    best_rows: Rows,
    best_scores: Scores,
) -> None:
    sums = np.empty(quanta.shape[2], dtype=np.float32)
    for user in range(len(history_rows)):
        sums[:] = 0
        history = history_rows[user]
        n_known = _add_rows(quanta[0], scales[0], head_of, history, first_decay, sums)
        n_known += _add_rows(quanta[1], scales[1], head_of, history, second_decay, sums)
        if n_known == 0:
            continue
        n_kept, kept_scores, kept_rows = 0, best_scores[user], best_rows[user]
        for place in range(len(items_of)):
            if n_kept == len(kept_scores) and (n_kept == 0 or sums[place] < kept_scores[0]):
                continue  # most items are worse than the worst of those kept: no call for them
            if not blocked[user, items_of[place]]:
                n_kept = offer(kept_scores, kept_rows, n_kept, sums[place], items_of[place])
        sort_best_first(kept_scores, kept_rows, n_kept)


@compiled
def _add_rows(
    quanta: NDArray[np.int16],
    scales: Scores,
    head_of: Rows,
    history: Rows,
    decay: Scores,
    sums: Scores,
) -> int:
    """Add the weights of the items of a history; return how many of them take part."""
    n_known = 0
    for age in range(min(len(decay), len(history))):
        if history[age] < 0:
            break
        place = head_of[history[age]]
        if place == len(scales) - 1:
            continue
        n_known += 1
        factor = decay[age] * scales[place]
        weights = quanta[place]
        for column in range(len(sums)):
            sums[column] += factor * np.float32(weights[column])
    return n_known


@compiled
def _add(
    quanta: NDArray[np.int16],
    scales: Scores,
    head_of: Rows,
    history_rows: Rows,
    decay: Scores,
    item_rows: Rows,
    scores: Scores,
) -> None:
    columns = np.empty(item_rows.shape[1], dtype=np.int32)
    for user in range(len(item_rows)):
        for column, item_row in enumerate(item_rows[user]):
            columns[column] = head_of[item_row] if item_row >= 0 else len(scales) - 1
        for age in range(min(len(decay), history_rows.shape[1])):
            if history_rows[user, age] < 0:
                break
            place = head_of[history_rows[user, age]]
            factor, weights = decay[age] * scales[place], quanta[place]
            for column in range(len(columns)):
                scores[user, column] += factor * np.float32(weights[columns[column]])
