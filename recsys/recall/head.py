"""The head of the catalogue: the items with evidence enough to learn from, and not too many of them."""

import numpy as np
from numpy.typing import NDArray


def head_of(
    popularity: NDArray[np.intp] | NDArray[np.float64], *, max_items: int, min_events: float
) -> NDArray[np.int32]:
    """Return the rows of the most popular items, rising; ties prefer the earlier row.

    Args:
        popularity: shape (items,), events of each, or what they weigh.
        max_items: so many at most.
        min_events: items with less take no part.

    >>> head_of(np.array([3, 9, 1, 5]), max_items=2, min_events=2).tolist()
    [1, 3]
    """
    order = np.argsort(-popularity, kind="stable")[:max_items]
    return np.sort(order[popularity[order] >= min_events]).astype(np.int32)
