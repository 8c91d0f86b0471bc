"""Pairs of items that one user chose near each other: raw material of co-visitation and sequence models."""

import numpy as np
from numpy.typing import NDArray

from recsys.core.compiled import compiled
from recsys.data.log import InteractionLog
from recsys.recall.neighbours import NeighbourTable
from recsys.recall.selection import offer


def pairs_at_lag(user_rows: NDArray[np.int32], lag: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return positions (earlier, later) that lie ``lag`` apart within one user's sequence.

    >>> import numpy as np
    >>> earlier, later = pairs_at_lag(np.array([0, 0, 0, 1]), 1)
    >>> earlier.tolist(), later.tolist()
    ([0, 1], [1, 2])
    """
    if lag >= len(user_rows):
        empty = np.zeros(0, dtype=np.int64)
        return empty, empty
    earlier = np.flatnonzero(user_rows[: len(user_rows) - lag] == user_rows[lag:])
    return earlier, earlier + lag


def strongest_pairs(
    log: InteractionLog,
    n_neighbours: int,
    *,
    lag_weights: NDArray[np.float64],
    backward: float,
    scale_from: NDArray[np.float64],
    scale_to: NDArray[np.float64],
) -> NeighbourTable:
    """Count weighted pairs and keep the strongest of each item; time grows with pairs, memory with items.

    Args:
        log: positive interactions.
        n_neighbours: how many to keep per item.
        lag_weights: shape (lags,), weight of a pair 1, 2, ... positions apart.
        backward: share of its weight that a pair gives to (later, earlier) as well.
        scale_from: shape (items,), positive: the count of a pair is multiplied by that of its first item,
        scale_to: same shape: and by that of its second.
    """
    k = min(n_neighbours, log.n_items)
    rows = np.full((log.n_items, k), log.n_items, dtype=np.int32)
    weights = np.zeros((log.n_items, k), dtype=np.float32)
    by_item = np.argsort(log.item_rows, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(log.item_rows, minlength=log.n_items))])
    _count_and_keep(
        log.item_rows,
        log.user_rows,
        log.offsets,
        by_item,
        starts,
        np.asarray(lag_weights, dtype=np.float64),
        backward,
        scale_from,
        scale_to,
        rows,
        weights,
    )
    return NeighbourTable(rows, weights)


@compiled
def _count_and_keep(
    item_rows: NDArray[np.int32],
    user_rows: NDArray[np.int32],
    offsets: NDArray[np.int64],
    by_item: NDArray[np.intp],
    starts: NDArray[np.intp],
    lag_weights: NDArray[np.float64],
    backward: float,
    scale_from: NDArray[np.float64],
    scale_to: NDArray[np.float64],
    rows: NDArray[np.int32],
    weights: NDArray[np.float32],
) -> None:
    counts = np.zeros(len(rows))
    is_reached = np.zeros(len(rows), dtype=np.bool_)
    reached = np.empty(len(rows), dtype=np.int32)
    for item in range(len(rows)):
        n_reached = 0
        is_reached[item] = True  # an item is no neighbour of its own
        for position in by_item[starts[item] : starts[item + 1]]:
            begin, end = offsets[user_rows[position]], offsets[user_rows[position] + 1]
            for lag in range(1, len(lag_weights) + 1):
                for other, share in ((position + lag, 1.0), (position - lag, backward)):
                    if begin <= other < end and share > 0.0:
                        row = item_rows[other]
                        if not is_reached[row]:
                            is_reached[row] = True
                            reached[n_reached] = row
                            n_reached += 1
                        counts[row] += share * lag_weights[lag - 1]
        n_kept = 0
        for row in reached[:n_reached]:
            strength = float(np.float32(counts[row] * scale_from[item] * scale_to[row]))
            n_kept = offer(weights[item], rows[item], n_kept, strength, row)
            counts[row], is_reached[row] = 0.0, False
        counts[item], is_reached[item] = 0.0, False
        order = np.argsort(rows[item, :n_kept])
        rows[item, :n_kept] = rows[item, :n_kept][order]
        weights[item, :n_kept] = weights[item, :n_kept][order]
