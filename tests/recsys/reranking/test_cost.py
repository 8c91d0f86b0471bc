from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.core.errors import FieldError
from recsys.features.users import NO_ITEM
from recsys.reranking.cost import best_rows, costs_of, mean_cost, priced, weight_for_budget

ROWS = np.array([[0, 1, 2, NO_ITEM]], dtype=np.int32)
SCORES = np.array([[3.0, 2.0, 1.0, -np.inf]], dtype=np.float32)
COSTS = np.array([5.0, 1.0, 0.0], dtype=np.float32)


def test_a_score_is_given_up_for_each_unit_of_cost() -> None:
    assert priced(ROWS, SCORES, COSTS, 0.5).tolist() == [[0.5, 1.5, 1.0, -np.inf]]
    assert priced(ROWS, SCORES, COSTS, 0.0).tolist() == SCORES.tolist()


def test_the_larger_the_weight_the_cheaper_the_list() -> None:
    # lists of two: items 0 and 1 cost 6; from 0.4 on item 2 (1.0) comes before item 0 (3 - 5 * 0.4)
    assert [mean_cost(ROWS, SCORES, COSTS, 2, weight) for weight in (0.0, 0.3, 0.5)] == [6.0, 6.0, 1.0]
    assert best_rows(ROWS, priced(ROWS, SCORES, COSTS, 0.5), 2).tolist() == [[1, 2]]


def test_the_smallest_weight_that_keeps_the_budget_is_found() -> None:
    assert weight_for_budget(ROWS, SCORES, COSTS, 2, 6.0) == 0.0
    assert weight_for_budget(ROWS, SCORES, COSTS, 2, 5.9) == pytest.approx(0.4, abs=1e-6)


def test_a_budget_below_the_cheapest_lists_is_refused() -> None:
    with pytest.raises(FieldError, match="the cheapest lists cost that much"):
        weight_for_budget(ROWS, SCORES, COSTS, 2, 0.5)


def test_unknown_costs_are_the_mean_of_the_known(catalogue_of: Callable[..., pl.DataFrame]) -> None:
    assert costs_of(catalogue_of(3, cost=[1.0, None, 3.0])).tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("costs", [[None, None], [1.0, -1.0], [1.0, float("inf")], [1.0, float("nan")]])
def test_costs_that_are_none_are_refused(
    catalogue_of: Callable[..., pl.DataFrame], costs: list[float | None]
) -> None:
    with pytest.raises(FieldError, match=r"items\.cost"):
        costs_of(catalogue_of(2, cost=costs))


@st.composite
def past_lists(
    draw: st.DrawFn,
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32], int, float]:
    n_users, size = draw(st.integers(1, 5)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = np.stack([rng.permutation(size) for _ in range(n_users)]).astype(np.int32)
    scores = rng.normal(size=(n_users, size)).astype(np.float32)
    costs = rng.exponential(size=size).astype(np.float32)
    return rows, scores, costs, draw(st.integers(1, size)), draw(st.floats(0.05, 1.0))


@given(past_lists())
def test_the_budget_is_kept_and_no_cheaper_weight_would_do(
    lists: tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32], int, float],
) -> None:
    rows, scores, costs, n, share = lists
    dearest = mean_cost(rows, scores, costs, n, 0.0)
    cheapest = mean_cost(rows, np.zeros_like(scores), costs, n, 1.0)
    budget = cheapest + share * (dearest - cheapest) + 1e-5
    weight = weight_for_budget(rows, scores, costs, n, budget)
    assert mean_cost(rows, scores, costs, n, weight) <= budget
    if weight > 0.0:
        assert mean_cost(rows, scores, costs, n, 0.999 * weight) > budget - 1e-6
