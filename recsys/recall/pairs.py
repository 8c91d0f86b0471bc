"""Pairs of items that one user chose near each other: raw material of co-visitation and sequence models."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from recsys.data.log import InteractionLog


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


def pair_counts(
    log: InteractionLog,
    *,
    lag_weights: NDArray[np.float64],
    backward: float,
    block_bytes: int = 1 << 28,
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Accumulate weighted pair counts for blocks of items, so that memory stays bounded.

    Args:
        log: positive interactions.
        lag_weights: shape (lags,), weight of a pair 1, 2, ... positions apart.
        backward: share of its weight that a pair gives to (later, earlier) as well.
        block_bytes: size of the dense block held at once.

    Yields:
        (first item row of the block, counts of shape (rows in block, items)), with a zero diagonal.
    """
    n = log.n_items
    users = log.user_rows
    block = max(1, min(n, block_bytes // (4 * n)))
    for start in range(0, n, block):
        stop = min(n, start + block)
        counts = np.zeros((stop - start, n), dtype=np.float32)
        flat = counts.reshape(-1)
        for lag, weight in enumerate(lag_weights, start=1):
            earlier, later = pairs_at_lag(users, lag)
            before, after = log.item_rows[earlier], log.item_rows[later]
            _add(flat, before, after, start, stop, n, float(weight))
            if backward > 0.0:
                _add(flat, after, before, start, stop, n, float(weight) * backward)
        rows = np.arange(start, stop)
        counts[rows - start, rows] = 0.0
        yield start, counts


def _add(
    flat: NDArray[np.float32],
    rows: NDArray[np.int32],
    columns: NDArray[np.int32],
    start: int,
    stop: int,
    n: int,
    weight: float,
) -> None:
    inside = (rows >= start) & (rows < stop)
    keys = (rows[inside].astype(np.int64) - start) * n + columns[inside]
    np.add.at(flat, keys, np.float32(weight))
