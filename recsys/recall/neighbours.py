"""Each item's strongest neighbours as a padded table, with quick look-up of single pairs."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from recsys.core.compiled import compiled
from recsys.recall.selection import offer, sort_best_first
from recsys.recall.source import Ranked
from recsys.registry.bundle import BundleReader, BundleWriter


@dataclass(frozen=True, slots=True)
class NeighbourTable:
    """Neighbours of item ``i`` in ``rows[i]``, sorted by row number; padding is ``n_items`` with weight 0."""

    rows: NDArray[np.int32]  # shape (items, neighbours), rising
    weights: NDArray[np.float32]  # same shape, positive

    @property
    def n_items(self) -> int:
        """How many items there are."""
        return len(self.rows)

    def lookup(self, from_rows: NDArray[np.int32], to_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the weight of each pair, 0.0 where the pair is not in the table or a row is negative.

        Args:
            from_rows: shape (users,), one item each.
            to_rows: shape (users, items).
        """
        found = np.zeros(to_rows.shape, dtype=np.float32)
        _look_up(self.rows, self.weights, from_rows, to_rows, found)
        return found

    def strongest(
        self, history_rows: NDArray[np.int32], decay: NDArray[np.float32], blocked: NDArray[np.bool_], n: int
    ) -> Ranked:
        """Return the ``n`` items with the largest sum of weights from the items of each history.

        Args:
            history_rows: shape (users, length), the latest first, NO_ITEM behind the last.
            decay: shape (ages,): what an item counts by its place; items further back do not count.
            blocked: shape (users, items), True where the item must not come back.
            n: how many.
        """
        best = Ranked.nothing(len(history_rows), n)
        _strongest(self.rows, self.weights, history_rows, decay, blocked, best.item_rows, best.scores)
        return best

    def sums(
        self, history_rows: NDArray[np.int32], decay: NDArray[np.float32], item_rows: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Return the sum of weights from the items of each history to given items, 0.0 where padded.

        Args:
            history_rows: as in :meth:`strongest`.
            decay: as in :meth:`strongest`.
            item_rows: shape (users, items), NO_ITEM where padded.
        """
        found = np.zeros(item_rows.shape, dtype=np.float32)
        _sums(self.rows, self.weights, history_rows, decay, item_rows, found)
        return found

    def save(self, writer: BundleWriter, folder: str) -> None:
        """Write both arrays under ``folder``."""
        writer.array(f"{folder}/rows", self.rows)
        writer.array(f"{folder}/weights", self.weights)

    @classmethod
    def load(cls, reader: BundleReader, folder: str) -> Self:
        """Read back what :meth:`save` wrote."""
        return cls(reader.array(f"{folder}/rows"), reader.array(f"{folder}/weights"))


@compiled
def _look_up(
    table_rows: NDArray[np.int32],
    table_weights: NDArray[np.float32],
    from_rows: NDArray[np.int32],
    to_rows: NDArray[np.int32],
    found: NDArray[np.float32],
) -> None:
    n_neighbours = table_rows.shape[1]
    for user in range(len(from_rows)):
        if from_rows[user] < 0:
            continue
        neighbours, weights = table_rows[from_rows[user]], table_weights[from_rows[user]]
        for column in range(to_rows.shape[1]):
            wanted = to_rows[user, column]
            low, high = 0, n_neighbours
            while low < high:
                middle = (low + high) >> 1
                if neighbours[middle] < wanted:
                    low = middle + 1
                else:
                    high = middle
            if low < n_neighbours and neighbours[low] == wanted:
                found[user, column] = weights[low]


@compiled
def _spread(
    table_rows: NDArray[np.int32],
    table_weights: NDArray[np.float32],
    history: NDArray[np.int32],
    decay: NDArray[np.float32],
    sums: NDArray[np.float32],
    is_reached: NDArray[np.bool_],
    reached: NDArray[np.int32],
) -> int:
    """Add up the weights from one history into ``sums``; return how many items are ``reached``.

    ``sums`` and ``is_reached``, of shape (items,), hold zeros before; the caller clears what was reached, so
    the cost is that of the items reached, not of all there are.
    """
    n_reached = 0
    for age in range(min(len(decay), len(history))):
        if history[age] < 0:
            break
        for place in range(table_rows.shape[1]):
            row = table_rows[history[age], place]
            if row == len(table_rows):  # padding, behind every neighbour
                break
            if not is_reached[row]:
                is_reached[row] = True
                reached[n_reached] = row
                n_reached += 1
            sums[row] += decay[age] * table_weights[history[age], place]
    return n_reached


@compiled
def _strongest(
    table_rows: NDArray[np.int32],
    table_weights: NDArray[np.float32],
    history_rows: NDArray[np.int32],
    decay: NDArray[np.float32],
    blocked: NDArray[np.bool_],
    best_rows: NDArray[np.int32],
    best_scores: NDArray[np.float32],
) -> None:
    sums = np.zeros(len(table_rows), dtype=np.float32)
    is_reached = np.zeros(len(table_rows), dtype=np.bool_)
    reached = np.empty(len(table_rows), dtype=np.int32)
    for user in range(len(history_rows)):
        n_reached = _spread(table_rows, table_weights, history_rows[user], decay, sums, is_reached, reached)
        n_kept, kept_scores, kept_rows = 0, best_scores[user], best_rows[user]
        for row in reached[:n_reached]:
            score = sums[row]
            sums[row], is_reached[row] = 0, False
            if n_kept == len(kept_scores) and (n_kept == 0 or score < kept_scores[0]):
                continue  # most items are worse than the worst of those kept: no call for them
            if score > 0 and not blocked[user, row]:
                n_kept = offer(kept_scores, kept_rows, n_kept, score, row)
        sort_best_first(kept_scores, kept_rows, n_kept)


@compiled
def _sums(
    table_rows: NDArray[np.int32],
    table_weights: NDArray[np.float32],
    history_rows: NDArray[np.int32],
    decay: NDArray[np.float32],
    item_rows: NDArray[np.int32],
    found: NDArray[np.float32],
) -> None:
    sums = np.zeros(len(table_rows), dtype=np.float32)
    is_reached = np.zeros(len(table_rows), dtype=np.bool_)
    reached = np.empty(len(table_rows), dtype=np.int32)
    for user in range(len(history_rows)):
        n_reached = _spread(table_rows, table_weights, history_rows[user], decay, sums, is_reached, reached)
        for column in range(item_rows.shape[1]):
            if item_rows[user, column] >= 0:
                found[user, column] = sums[item_rows[user, column]]
        for row in reached[:n_reached]:
            sums[row], is_reached[row] = 0, False
