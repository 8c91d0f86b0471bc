"""Merging the sources: each has a quota, every candidate remembers who named it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recsys.features.users import NO_ITEM
from recsys.recall.candidates import NOT_NAMED, Candidates


def blend(named: Sequence[NDArray[np.int32]], quotas: Sequence[int], n: int) -> Candidates:
    """Merge the lists of several sources into ``n`` candidates per user.

    An item's place is its best rank in any source divided by that source's quota, so a source with twice
    the quota puts two items where another puts one. Ties go to the item with the smaller row.

    Args:
        named: per source, shape (users, its n): different item rows, best first, padded with NO_ITEM.
        quotas: per source, positive.
        n: how many candidates to keep for each user.
    """
    n_users = len(named[0])
    widths = [rows.shape[1] for rows in named]
    rows = np.concatenate(named, axis=1)
    width = rows.shape[1]
    ranks = np.concatenate([np.arange(w, dtype=np.int16) for w in widths])
    sources = np.repeat(np.arange(len(named)), widths)
    places = (ranks + 0.5) / np.repeat(np.asarray(quotas, dtype=np.float64), widths)

    order = np.lexsort(
        (np.broadcast_to(places, rows.shape), rows), axis=1
    )  # equal items side by side, best first
    sorted_rows = np.take_along_axis(rows, order, axis=1)
    first = np.ones(rows.shape, dtype=np.bool_)
    first[:, 1:] = sorted_rows[:, 1:] != sorted_rows[:, :-1]
    first &= sorted_rows != NO_ITEM

    item_number = np.cumsum(first, axis=1) - 1  # of each entry, among the user's different items
    by_source = np.full((n_users, width, len(named)), NOT_NAMED, dtype=np.int16)
    user, entry = np.nonzero(sorted_rows != NO_ITEM)
    origin = order[user, entry]
    by_source[user, item_number[user, entry], sources[origin]] = ranks[origin]

    best_place = np.where(first, places[order], np.inf)
    keep = np.argsort(best_place, axis=1, kind="stable")[:, :n]
    kept = np.take_along_axis(first, keep, axis=1)
    item_rows = np.where(kept, np.take_along_axis(sorted_rows, keep, axis=1), NO_ITEM)
    numbers = np.take_along_axis(item_number, keep, axis=1)
    source_ranks = np.take_along_axis(by_source, numbers[:, :, None], axis=1)
    source_ranks[~kept] = NOT_NAMED
    return Candidates(item_rows.astype(np.int32), source_ranks)


def best_source(
    source_ranks: NDArray[np.int16], quotas: Sequence[int], source_names: Sequence[str]
) -> NDArray[np.object_]:
    """Return the source that put each item highest, shape of ``source_ranks`` less its last axis."""
    named = source_ranks != NOT_NAMED
    places = np.where(named, (source_ranks + 0.5) / np.asarray(quotas, dtype=np.float64), np.inf)
    best: NDArray[np.object_] = np.asarray(source_names, dtype=np.object_)[np.argmin(places, axis=-1)]
    return best
