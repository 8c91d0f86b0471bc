"""Sums over a user's latest items in which older items count less."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from recsys.core.compiled import compiled
from recsys.features.users import UserBatch


@lru_cache(maxsize=64)
def position_decay(time_constant_items: float, length: int) -> NDArray[np.float32]:
    """Return exp(-age / time constant) for ages 0 (the latest item) to ``length - 1``, shape (length,)."""
    decay = np.exp(-np.arange(length) / time_constant_items).astype(np.float32)
    decay.flags.writeable = False  # one array for everybody
    return decay


def weighted_sum(
    users: UserBatch, vectors: NDArray[np.float32], decay: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the sum of the vectors of each user's latest items, each times the weight of its place.

    Args:
        users: whose histories.
        vectors: shape (items, dimensions).
        decay: shape (length,); items further back than that do not count.

    Returns:
        shape (users, dimensions).
    """
    sums = np.zeros((len(users), vectors.shape[1]), dtype=np.float32)
    _add_vectors(users.history_rows, vectors, decay, sums)
    return sums


@compiled
def _add_vectors(
    history_rows: NDArray[np.int32],
    vectors: NDArray[np.float32],
    decay: NDArray[np.float32],
    sums: NDArray[np.float32],
) -> None:
    for user in range(len(history_rows)):
        for age in range(min(len(decay), history_rows.shape[1])):
            row = history_rows[user, age]
            if row < 0:
                break
            for dimension in range(vectors.shape[1]):
                sums[user, dimension] += decay[age] * vectors[row, dimension]
