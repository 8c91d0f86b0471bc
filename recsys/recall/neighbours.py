"""Each item's strongest neighbours as a padded table, with quick look-up of single pairs."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

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
        table = self.rows[from_rows]  # (users, neighbours)
        low = np.zeros(to_rows.shape, dtype=np.int64)
        high = np.full(to_rows.shape, table.shape[1], dtype=np.int64)
        users = np.arange(len(from_rows))[:, None]
        last = table.shape[1] - 1
        for _ in range(table.shape[1].bit_length()):  # binary search, all pairs at once
            middle = (low + high) >> 1
            below = table[users, np.minimum(middle, last)] < to_rows
            low = np.where(below & (middle < high), middle + 1, low)
            high = np.where(below, high, middle)
        found = np.minimum(low, last)
        hit = (table[users, found] == to_rows) & (from_rows >= 0)[:, None] & (to_rows >= 0)
        return np.where(hit, self.weights[from_rows[:, None], found], np.float32(0.0))

    def spread(
        self, history_rows: NDArray[np.int32], history_weights: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the weighted sum of the neighbours of several items per user, shape (users, items).

        Args:
            history_rows: shape (users, length), NO_ITEM where padded.
            history_weights: same shape, 0 where padded.
        """
        n_users, n = len(history_rows), self.n_items
        out = np.zeros(n_users * (n + 1), dtype=np.float32)  # the last column takes the padding
        user, place = np.nonzero(history_rows >= 0)
        items = history_rows[user, place]
        keys = user[:, None] * (n + 1) + self.rows[items]
        np.add.at(out, keys, self.weights[items] * history_weights[user, place][:, None])
        return out.reshape(n_users, n + 1)[:, :n]

    def save(self, writer: BundleWriter, folder: str) -> None:
        """Write both arrays under ``folder``."""
        writer.array(f"{folder}/rows", self.rows)
        writer.array(f"{folder}/weights", self.weights)

    @classmethod
    def load(cls, reader: BundleReader, folder: str) -> Self:
        """Read back what :meth:`save` wrote."""
        return cls(reader.array(f"{folder}/rows"), reader.array(f"{folder}/weights"))


def keep_strongest(
    blocks: Iterable[tuple[int, NDArray[np.float32]]], n_items: int, n_neighbours: int
) -> NeighbourTable:
    """Keep the ``n_neighbours`` largest positive weights of every row.

    Args:
        blocks: (first row, weights of shape (rows, items)), all rows once.
        n_items: rows and columns in all.
        n_neighbours: how many to keep.
    """
    k = min(n_neighbours, n_items)
    rows = np.full((n_items, k), n_items, dtype=np.int32)
    kept = np.zeros((n_items, k), dtype=np.float32)
    for start, weights in blocks:
        best = np.argpartition(-weights, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(weights, best, axis=1)
        best = np.where(values > 0, best, n_items)
        order = np.argsort(best, axis=1, kind="stable")
        stop = start + len(weights)
        rows[start:stop] = np.take_along_axis(best, order, axis=1)
        kept[start:stop] = np.where(
            rows[start:stop] < n_items, np.take_along_axis(values, order, axis=1), 0.0
        )
    return NeighbourTable(rows, kept)
