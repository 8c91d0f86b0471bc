"""Merging the sources: each has a quota, every candidate remembers who named it."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from recsys.core.compiled import compiled
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
    widths = tuple(rows.shape[1] for rows in named)
    turns = _turns(widths, tuple(quotas))
    joined = np.concatenate(named, axis=1)
    slots = np.full(joined.max(initial=NO_ITEM) + 1, NO_ITEM, dtype=np.int32)
    blended = Candidates(
        np.full((len(joined), n), NO_ITEM, dtype=np.int32),
        np.full((len(joined), n, len(named)), NOT_NAMED, dtype=np.int16),
    )
    _take_turns(joined, *turns, slots, blended.item_rows, blended.source_ranks)
    return blended


@lru_cache(maxsize=64)
def _turns(
    widths: tuple[int, ...], quotas: tuple[int, ...]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], NDArray[np.int16]]:
    """Return in what order the entries of lists of these widths, laid side by side, come to their turn.

    Returns:
        The ends of the turns, shape (turns,): entries of one turn have the same place, and no two of them the
        same source. Then column, source and rank of each entry, shape (entries,).
    """
    ranks = np.concatenate([np.arange(width, dtype=np.int16) for width in widths])
    sources = np.repeat(np.arange(len(widths)), widths)
    places = (ranks + 0.5) / np.repeat(np.asarray(quotas, dtype=np.float64), widths)
    order = np.argsort(places, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(places[order])) + 1, len(order))
    return ends, order, sources[order], ranks[order]


@compiled
def _take_turns(
    named: NDArray[np.int32],
    ends: NDArray[np.intp],
    columns: NDArray[np.intp],
    sources: NDArray[np.intp],
    ranks: NDArray[np.int16],
    slots: NDArray[np.int32],
    item_rows: NDArray[np.int32],
    source_ranks: NDArray[np.int16],
) -> None:
    """Fill the candidates of every user; ``slots``, shape (items,), says where an item stands, or NO_ITEM."""
    for user in range(len(named)):
        n_kept = start = 0
        for end in ends:
            begun = n_kept
            for turn in range(start, end):
                row = named[user, columns[turn]]
                if row >= 0 and slots[row] == NO_ITEM:
                    n_kept = _put_in(item_rows[user], slots, begun, n_kept, row)
            for turn in range(start, end):
                row = named[user, columns[turn]]
                if row >= 0 and slots[row] != NO_ITEM:
                    source_ranks[user, slots[row], sources[turn]] = ranks[turn]
            start = end
        for row in item_rows[user, :n_kept]:
            slots[row] = NO_ITEM


@compiled
def _put_in(items: NDArray[np.int32], slots: NDArray[np.int32], begun: int, n_kept: int, row: int) -> int:
    """Put an item among those of its turn, sorted by row from ``begun`` on; drop what is over."""
    place = n_kept
    while place > begun and items[place - 1] > row:
        place -= 1
    if place == len(items):
        return n_kept
    if n_kept == len(items):
        n_kept -= 1
        slots[items[n_kept]] = NO_ITEM
    for moved in range(n_kept, place, -1):
        items[moved] = items[moved - 1]
        slots[items[moved]] = moved
    items[place] = row
    slots[row] = place
    return n_kept + 1


def best_source(source_ranks: NDArray[np.int16], quotas: Sequence[int]) -> NDArray[np.int8]:
    """Return the number of the source that put each item highest.

    Args:
        source_ranks: shape (users, items, sources), NOT_NAMED where a source did not name an item.
        quotas: per source, positive.

    Returns:
        shape (users, items); where no source named the item, the first.
    """
    best = np.zeros(source_ranks.shape[:2], dtype=np.int8)
    _find_best_source(source_ranks, np.asarray(quotas, dtype=np.float64), best)
    return best


@compiled
def _find_best_source(
    source_ranks: NDArray[np.int16], quotas: NDArray[np.float64], best: NDArray[np.int8]
) -> None:
    for user in range(source_ranks.shape[0]):
        for item in range(source_ranks.shape[1]):
            least = np.inf
            for source in range(source_ranks.shape[2]):
                rank = source_ranks[user, item, source]
                place = (rank + 0.5) / quotas[source]
                if rank != NOT_NAMED and place < least:
                    best[user, item], least = source, place
