"""Weights that let a user's older items count less, by position or by place in the list."""

import numpy as np
from numpy.typing import NDArray

from recsys.features.users import UserBatch


def position_decay(users: UserBatch, time_constant_items: float, length: int) -> NDArray[np.float32]:
    """Return exp(-age / time constant) for the latest ``length`` items, 0 where padded.

    The latest item has age 0; shape (users, length).
    """
    rows = users.history_rows[:, :length]
    decay = np.exp(-np.arange(rows.shape[1]) / time_constant_items).astype(np.float32)
    return np.where(rows >= 0, decay[None, :], np.float32(0.0))


def weighted_sum(
    users: UserBatch, vectors: NDArray[np.float32], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the weighted sum of the vectors of each user's latest items, shape (users, dimensions).

    Users are taken one at a time: a batch of several users gives bit for bit what each alone gives.
    """
    length = weights.shape[1]
    out = np.zeros((len(users), vectors.shape[1]), dtype=np.float32)
    for user, (rows, row_weights) in enumerate(zip(users.history_rows[:, :length], weights, strict=True)):
        n = int(np.count_nonzero(rows >= 0))
        if n:
            out[user] = row_weights[:n] @ vectors[rows[:n]]
    return out
