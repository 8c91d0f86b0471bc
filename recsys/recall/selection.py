"""The best few of many, in compiled loops: a heap whose root is the worst of those kept so far.

Of equal scores the smaller item row is better, so runs agree.
"""

import numpy as np
from numpy.typing import NDArray

from recsys.core.compiled import compiled

Scores = NDArray[np.float32]
Rows = NDArray[np.int32]


@compiled
def offer(heap_scores: Scores, heap_rows: Rows, n_kept: int, score: float, row: int) -> int:
    """Keep an item if it is among the best so far; return how many are kept then.

    Args:
        heap_scores: shape (capacity,), of which the first ``n_kept`` are in use.
        heap_rows: same shape.
        n_kept: how many are kept now.
        score: of the new item.
        row: the new item, none of those kept.
    """
    if n_kept < len(heap_scores):
        place = n_kept
        while place > 0:
            parent = (place - 1) >> 1
            if not _worse(score, row, heap_scores[parent], heap_rows[parent]):
                break
            heap_scores[place], heap_rows[place] = heap_scores[parent], heap_rows[parent]
            place = parent
        heap_scores[place], heap_rows[place] = score, row
        return n_kept + 1
    if n_kept and _worse(heap_scores[0], heap_rows[0], score, row):
        _sink(heap_scores, heap_rows, n_kept, score, row)
    return n_kept


@compiled
def sort_best_first(heap_scores: Scores, heap_rows: Rows, n_kept: int) -> None:
    """Turn a heap into a list, the best first."""
    while n_kept > 1:
        n_kept -= 1
        score, row = heap_scores[n_kept], heap_rows[n_kept]
        heap_scores[n_kept], heap_rows[n_kept] = heap_scores[0], heap_rows[0]
        _sink(heap_scores, heap_rows, n_kept, score, row)


@compiled
def _sink(heap_scores: Scores, heap_rows: Rows, n: int, score: float, row: int) -> None:
    """Put an item in the place of the root, and it down to where it belongs among the first ``n``."""
    place = 0
    while True:
        child = 2 * place + 1
        if child >= n:
            break
        if child + 1 < n and _worse(
            heap_scores[child + 1], heap_rows[child + 1], heap_scores[child], heap_rows[child]
        ):
            child += 1
        if not _worse(heap_scores[child], heap_rows[child], score, row):
            break
        heap_scores[place], heap_rows[place] = heap_scores[child], heap_rows[child]
        place = child
    heap_scores[place], heap_rows[place] = score, row


@compiled
def _worse(score: float, row: int, than_score: float, than_row: int) -> bool:
    return score < than_score or (score == than_score and row > than_row)
