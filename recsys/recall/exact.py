"""Exact search by inner product: every item is looked at, in tiles that stay in the nearest cache.

FAISS reads the whole catalogue again for each query (or hands the batch to BLAS, whose sums depend on how
many queries there are). Here 128 items are multiplied with every query of the batch before the next 128, and
what is good enough goes straight into the query's heap: no matrix of scores is ever written down.
``docs/decisions/exact-search.md`` has the figures.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from recsys.core.compiled import compiled
from recsys.recall.selection import offer, sort_best_first

WIDTH: Final = 128
"""Items in a panel."""


def panels_of(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return shape (panels, dimensions, WIDTH): item ``i`` is column ``i % WIDTH`` of panel ``i // WIDTH``.

    The last panel is filled up with zeros.

    Args:
        vectors: shape (items, dimensions).
    """
    n_items, n_dimensions = vectors.shape
    panels = np.zeros((-(-n_items // WIDTH), WIDTH, n_dimensions), dtype=np.float32)
    panels.reshape(-1, n_dimensions)[:n_items] = vectors
    return np.ascontiguousarray(panels.transpose(0, 2, 1))


@compiled
def find_best(
    queries: NDArray[np.float32],
    panels: NDArray[np.float32],
    rows: NDArray[np.int32],
    blocked: NDArray[np.bool_],
    best_rows: NDArray[np.int32],
    best_scores: NDArray[np.float32],
) -> None:
    """Fill in the items with the largest positive products, best first; of equal ones the smaller row.

    Args:
        queries: shape (users, dimensions).
        panels: of the items, from :func:`panels_of`.
        rows: shape (items,): the catalogue row of each.
        blocked: shape (users, catalogue), True where the user must not get the item.
        best_rows: shape (users, n), filled with padding; the result.
        best_scores: same shape, likewise.
    """
    n_kept = np.zeros(len(queries), dtype=np.int64)
    products = np.empty(WIDTH, dtype=np.float32)
    for panel in range(len(panels)):
        first = panel * WIDTH
        n_items = min(WIDTH, len(rows) - first)
        for user in range(len(queries)):
            _multiply(queries[user], panels[panel], products)
            is_full = n_kept[user] == best_rows.shape[1]
            least = best_scores[user, 0] if is_full else np.float32(0.0)
            n_good = 0
            for item in range(WIDTH):
                n_good += products[item] >= least
            if n_good == 0:
                continue
            for item in range(n_items):
                row = rows[first + item]
                if products[item] >= least and products[item] > 0.0 and not blocked[user, row]:
                    n_kept[user] = offer(
                        best_scores[user], best_rows[user], n_kept[user], products[item], row
                    )
    for user in range(len(queries)):
        sort_best_first(best_scores[user], best_rows[user], n_kept[user])


@compiled
def _multiply(query: NDArray[np.float32], items: NDArray[np.float32], products: NDArray[np.float32]) -> None:
    """Write the products of a query with the items of a panel.

    Four dimensions at a time: a sum is fetched and stored once for four products.
    """
    in_fours = len(query) // 4 * 4
    for item in range(WIDTH):
        products[item] = np.float32(0.0)
    for first in range(0, in_fours, 4):
        a, b, c, d = query[first], query[first + 1], query[first + 2], query[first + 3]
        of_a, of_b, of_c, of_d = items[first], items[first + 1], items[first + 2], items[first + 3]
        for item in range(WIDTH):
            products[item] += a * of_a[item] + b * of_b[item] + c * of_c[item] + d * of_d[item]
    for dimension in range(in_fours, len(query)):
        value, of_value = query[dimension], items[dimension]
        for item in range(WIDTH):
            products[item] += value * of_value[item]
