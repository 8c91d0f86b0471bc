"""What playing an item costs, weighed against its score; the weight that keeps lists within a budget.

A list takes the items with the largest score - weight * cost. Of all lists that cost no more, that one has
the largest sum of scores (Lagrange); the larger the weight, the less it costs.

Source: Everett, "Generalized Lagrange Multiplier Method for Solving Problems of Optimum Allocation of
Resources", Operations Research 1963.
"""

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.errors import FieldError

Rows = NDArray[np.int32]
Scores = NDArray[np.float32]
Costs = NDArray[np.float32]

_N_HALVINGS: Final = 40


def costs_of(items: pl.DataFrame) -> Costs:
    """Return the cost per play of every item, shape (items,), the mean of the known where it is unknown.

    Args:
        items: schema :data:`recsys.data.schema.ITEMS`.

    Raises:
        FieldError: a cost is negative or not finite, or none is known.
    """
    known = items["cost"].drop_nulls()
    if known.is_empty():
        raise FieldError("items.cost", "nothing known", "the cost of at least one item: there is a weight")
    if not (known.is_finite().all() and float(known.min()) >= 0.0):  # type: ignore[arg-type]
        raise FieldError("items.cost", "a negative or infinite one", "costs of 0 or more")
    return items["cost"].fill_null(float(known.mean())).to_numpy().astype(np.float32)  # type: ignore[arg-type]


def priced(item_rows: Rows, scores: Scores, costs: Costs, weight: float) -> Scores:
    """Return score - weight * cost of each candidate, shape (users, candidates); padding keeps its score.

    Args:
        item_rows: shape (users, candidates), NO_ITEM where padded.
        scores: same shape.
        costs: shape (items,).
        weight: score that is given up to save a cost of 1; 0 changes nothing.
    """
    cost = np.where(item_rows >= 0, costs[item_rows], np.float32(0.0))
    return (scores - np.float32(weight) * cost).astype(np.float32)


def mean_cost(item_rows: Rows, scores: Scores, costs: Costs, n: int, weight: float) -> float:
    """Return what lists of ``n`` cost on average at a weight.

    Args:
        item_rows: shape (users, candidates), NO_ITEM where padded.
        scores: same shape, -inf where padded.
        costs: shape (items,).
        n: length of the lists.
        weight: see :func:`priced`.
    """
    best = best_rows(item_rows, priced(item_rows, scores, costs, weight), n)
    return float(np.where(best >= 0, costs[best], 0.0).sum(axis=1).mean())


def best_rows(item_rows: Rows, scores: Scores, n: int) -> Rows:
    """Return the ``n`` candidates with the largest scores, best first, shape (users, min(n, candidates))."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :n]
    best: Rows = np.take_along_axis(item_rows, order, axis=1)
    return best


def least_cost(item_rows: Rows, scores: Scores, costs: Costs, n: int) -> float:
    """Return what lists of ``n`` cost on average when nothing but cost counts; see :func:`mean_cost`."""
    alike = np.where(item_rows >= 0, np.float32(0.0), scores).astype(np.float32)
    return mean_cost(item_rows, alike, costs, n, 1.0)


def weight_for_budget(item_rows: Rows, scores: Scores, costs: Costs, n: int, budget: float) -> float:
    """Return the smallest weight with which lists like these cost no more than a budget on average.

    Args:
        item_rows: shape (users, candidates) of past lists, NO_ITEM where padded.
        scores: same shape, -inf where padded.
        costs: shape (items,).
        n: length of the lists.
        budget: mean cost of a list.

    Raises:
        FieldError: even the cheapest lists cost more.
    """
    if mean_cost(item_rows, scores, costs, n, 0.0) <= budget:
        return 0.0
    cheapest = least_cost(item_rows, scores, costs, n)
    if cheapest > budget:
        raise FieldError("budget", f"{budget:g}", f"at least {cheapest:g}: the cheapest lists cost that much")
    low, high = 0.0, 1.0
    while mean_cost(item_rows, scores, costs, n, high) > budget:
        low, high = high, 2.0 * high
        if high > 1e12:  # float32 cannot tell scores apart at such weights
            raise FieldError("budget", f"{budget:g}", f"clearly more than {cheapest:g}")
    for _ in range(_N_HALVINGS):
        middle = 0.5 * (low + high)
        if mean_cost(item_rows, scores, costs, n, middle) <= budget:
            high = middle
        else:
            low = middle
    return high
