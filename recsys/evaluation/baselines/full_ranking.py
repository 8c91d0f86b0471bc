"""From a score for every item to the best list, without what the user must not get."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys.data.log import InteractionLog
from recsys.features.users import NO_ITEM, UserBatch


def best_rows(
    scores: NDArray[np.float32], users: UserBatch, n: int, preference: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Rank every item for every user; equal scores are ordered by ``preference``.

    Args:
        scores: shape (users, items), no NaN.
        users: whose excluded items stay out.
        n: length of the lists.
        preference: shape (items,), a permutation of 0..items-1; of two items with equal scores the one with
            the larger number comes first. A user of whom a model knows nothing gets the most preferred items.

    Returns:
        shape (users, n), padded with NO_ITEM where fewer items are left.
    """
    n_users, n_items = scores.shape
    key = _sortable(scores) << np.int64(32) | preference
    owner = np.repeat(np.arange(n_users), np.diff(users.excluded_offsets))
    key[owner, users.excluded_rows] = np.iinfo(np.int64).min
    kept = min(n, n_items)
    head = np.argpartition(key, n_items - kept, axis=1)[:, n_items - kept :] if kept < n_items else None
    head_key = key if head is None else np.take_along_axis(key, head, axis=1)
    order = np.argsort(head_key, axis=1)[:, ::-1]
    rows = order if head is None else np.take_along_axis(head, order, axis=1)
    excluded = np.take_along_axis(head_key, order, axis=1) == np.iinfo(np.int64).min
    best = np.full((n_users, n), NO_ITEM, dtype=np.int32)
    best[:, :kept] = np.where(excluded, NO_ITEM, rows)
    return best


def chosen_scores(
    scores: NDArray[np.float32], item_rows: NDArray[np.int32], preference: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the scores of some items, ordered as :func:`best_rows` orders them: ties by preference.

    A preference moves a score by less than half the distance to the next 32-bit number.

    Args:
        scores: shape (users, all items), finite.
        item_rows: shape (users, items).
        preference: shape (all items,), a permutation of 0..items-1.
    """
    chosen = np.take_along_axis(scores, item_rows.astype(np.intp), axis=1)
    step = np.spacing(np.abs(chosen)).astype(np.float64)
    return chosen + 0.49 * step * (preference[item_rows] / len(preference))


def popularity_preference(train: InteractionLog) -> NDArray[np.int64]:
    """Return each item's place from least to most popular, shape (items,); ties prefer the earlier row."""
    counts = np.bincount(train.item_rows, minlength=train.n_items)
    rising = np.lexsort((-np.arange(train.n_items), counts))
    preference = np.empty(train.n_items, dtype=np.int64)
    preference[rising] = np.arange(train.n_items)
    return preference


def user_item_matrix(train: InteractionLog) -> sparse.csr_array:
    """Return who met what, shape (users, items), 1.0 however often."""
    return _binary(train.item_rows, train.offsets, train.n_items)


def history_matrix(users: UserBatch, n_items: int) -> sparse.csr_array:
    """Return which items each user has in the history, shape (users, items), 1.0 however often."""
    real = users.history_rows != NO_ITEM
    offsets = np.concatenate([[0], np.cumsum(real.sum(axis=1))])
    return _binary(users.history_rows[real], offsets, n_items)


def _binary(item_rows: NDArray[np.int32], offsets: NDArray[np.int64], n_items: int) -> sparse.csr_array:
    ones = np.ones(len(item_rows), dtype=np.float32)
    shape = (len(offsets) - 1, n_items)
    matrix = sparse.csr_array((ones, item_rows, offsets), shape=shape, copy=True)
    matrix.sum_duplicates()  # in place: the log's own arrays stay as they are
    matrix.data[:] = 1.0
    return matrix


def _sortable(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return integers in the order of the scores: the bits of a float, turned round for a negative one."""
    bits = (np.asarray(scores, dtype=np.float32) + np.float32(0.0)).view(np.int32)  # -0.0 + 0.0 is 0.0
    return (bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))).astype(np.int64)
