from itertools import product
from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.evaluation.impressions.metrics import PooledAuc, group_auc, group_ndcg, ordered

IMPRESSIONS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(-3, 3), st.booleans()), min_size=1, max_size=25
)
"""User, score (often tied), chosen."""


def arrays(
    rows: list[tuple[int, int, bool]],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    users, scores, chosen = zip(*rows, strict=True)
    return np.array(users), np.array(scores, dtype=np.float64), np.array(chosen)


def auc_by_pairs(scores: NDArray[np.float64], chosen: NDArray[np.bool_]) -> float:
    """Compare every chosen impression with every other; nan without pairs."""
    wins = [(a > b) + 0.5 * (a == b) for a, b in product(scores[chosen], scores[~chosen])]
    return float(np.mean(wins)) if wins else float("nan")


def pooled(scores: list[float], chosen: list[int], users: list[int] | None = None) -> float:
    numbers = np.array(users or [0] * len(scores))
    auc = PooledAuc(np.array(scores), np.array(chosen, dtype=bool), numbers)
    return auc.value(np.ones(numbers.max() + 1))


class TestPooledAuc:
    def test_counts_pairs_in_the_right_order(self) -> None:
        assert pooled([3.0, 2.0, 1.0, 0.0], [1, 0, 1, 0]) == 0.75  # of 2 x 2 pairs only (1.0, 2.0) is wrong

    def test_a_tie_is_half_right(self) -> None:
        assert pooled([1.0, 1.0], [1, 0]) == 0.5
        assert pooled([2.0, 1.0, 1.0], [1, 1, 0]) == 0.75

    def test_compares_impressions_of_different_users(self) -> None:
        assert pooled([2.0, 1.0], [1, 0], users=[0, 1]) == 1.0

    def test_is_not_a_number_when_everything_was_chosen(self) -> None:
        assert np.isnan(pooled([1.0, 2.0], [1, 1]))

    def test_a_user_drawn_twice_counts_like_two_of_them(self) -> None:
        scores, chosen, users = [3.0, 1.0, 2.0, 0.0], [1, 0, 0, 1], [0, 0, 1, 1]
        auc = PooledAuc(np.array(scores), np.array(chosen, dtype=bool), np.array(users))
        twice = pooled([*scores, *scores[:2]], [*chosen, *chosen[:2]])
        assert auc.values([np.array([2, 1])]) == pytest.approx([twice])
        assert np.isnan(auc.values([np.array([0, 0])])).all()

    @given(IMPRESSIONS)
    def test_equals_comparing_all_pairs(self, rows: list[tuple[int, int, bool]]) -> None:
        users, scores, chosen = arrays(rows)
        found = PooledAuc(scores, chosen, users).value(np.ones(4))
        assert found == pytest.approx(auc_by_pairs(scores, chosen), nan_ok=True)


class TestGroupAuc:
    def test_orders_only_within_a_user(self) -> None:
        users = np.array([0, 1, 0, 1, 2])
        scores = np.array([0.2, 9.0, 0.1, 8.0, 5.0])
        chosen = np.array([True, False, False, True, True])
        found = group_auc(ordered(scores, users, 4), chosen)
        assert found[:2].tolist() == [1.0, 0.0]
        assert np.isnan(found[2:]).all()  # one answer only, and nobody

    @given(IMPRESSIONS)
    def test_equals_comparing_all_pairs_of_each_user(self, rows: list[tuple[int, int, bool]]) -> None:
        users, scores, chosen = arrays(rows)
        found = group_auc(ordered(scores, users, 4), chosen)
        wanted = [auc_by_pairs(scores[users == user], chosen[users == user]) for user in range(4)]
        assert found == pytest.approx(wanted, nan_ok=True)

    @given(IMPRESSIONS)
    def test_only_the_order_of_scores_counts(self, rows: list[tuple[int, int, bool]]) -> None:
        users, scores, chosen = arrays(rows)
        found = group_auc(ordered(scores, users, 4), chosen)
        assert found == pytest.approx(group_auc(ordered(np.exp(scores) - 5.0, users, 4), chosen), nan_ok=True)
        assert found == pytest.approx(1.0 - group_auc(ordered(-scores, users, 4), chosen), nan_ok=True)
        assert found == pytest.approx(1.0 - group_auc(ordered(scores, users, 4), ~chosen), nan_ok=True)


class TestGroupNdcg:
    def ndcg(self, scores: list[float], chosen: list[int], k: int | None = None) -> float:
        order = ordered(np.array(scores), np.zeros(len(scores), dtype=np.int64), 1)
        return float(group_ndcg(order, np.array(chosen, dtype=bool), k)[0])

    def test_a_choice_in_second_place_is_discounted(self) -> None:
        assert self.ndcg([0.9, 0.8, 0.1], [0, 1, 0]) == pytest.approx(1 / log2(3))

    def test_a_cut_forgets_what_lies_behind_it_and_asks_for_no_more(self) -> None:
        assert self.ndcg([0.9, 0.8, 0.1], [0, 0, 1], k=2) == 0.0
        assert self.ndcg([0.9, 0.8, 0.1], [1, 0, 1], k=1) == 1.0

    def test_a_tie_is_worth_the_mean_of_its_orders(self) -> None:
        assert self.ndcg([0.5, 0.5], [1, 0]) == pytest.approx((1 + 1 / log2(3)) / 2)

    def test_is_not_a_number_where_nothing_was_chosen(self) -> None:
        assert np.isnan(self.ndcg([0.5, 0.4], [0, 0]))

    @given(IMPRESSIONS, st.integers(1, 12))
    def test_is_the_mean_over_random_orders_of_ties(self, rows: list[tuple[int, int, bool]], k: int) -> None:
        _, scores, chosen = arrays(rows)
        found = self.ndcg(scores.tolist(), chosen.tolist(), k)
        if not chosen.any():
            return
        worth = np.where(np.arange(len(rows)) < k, 1.0 / np.log2(np.arange(len(rows)) + 2.0), 0.0)
        gained = 0.0
        for level in np.unique(scores):  # a tie takes the places after all better ones, in any order
            first, alike = int((scores > level).sum()), int((scores == level).sum())
            gained += worth[first : first + alike].mean() * chosen[scores == level].sum()
        assert found == pytest.approx(gained / worth[: chosen.sum()].sum())
