import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.core.errors import ShapeError
from recsys.evaluation.metrics import Targets, accuracy, hit_rate, hits, ndcg, recall, reciprocal_rank

SECOND = 1 / np.log2(3)  # worth of a hit in the second place
THIRD = 1 / 2


def rows(*lists: list[int]) -> NDArray[np.int32]:
    return np.array(lists, dtype=np.int32)


def targets(*each: list[int]) -> Targets:
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in each])]).astype(np.int64)
    return Targets(offsets, np.array([row for one in each for row in one], dtype=np.int32))


class TestHits:
    def test_marks_the_places_that_hold_a_target_of_that_user(self) -> None:
        marked = hits(rows([3, 1, 2], [3, 1, 2]), targets([2], [3, 1]))
        assert marked.tolist() == [[False, False, True], [True, True, False]]

    def test_padding_is_never_a_hit_even_when_the_neighbour_wants_the_last_item(self) -> None:
        assert hits(rows([0, 5], [0, -1]), targets([5], [4])).tolist() == [[False, True], [False, False]]

    def test_lists_and_targets_of_different_users_are_refused(self) -> None:
        with pytest.raises(ShapeError, match="item_rows"):
            hits(rows([1]), targets([1], [1]))


class TestOneUser:
    hit = np.array([[False, True, True]])
    one = np.array([1])
    four = np.array([4])

    def test_recall_divides_by_all_targets(self) -> None:
        assert recall(self.hit, self.four, 3).tolist() == [0.5]
        assert recall(self.hit, self.four, 2).tolist() == [0.25]

    def test_ndcg_divides_by_the_best_possible_list_of_that_length(self) -> None:
        ideal = 1 + SECOND + THIRD
        assert ndcg(self.hit, self.four, 3) == pytest.approx((SECOND + THIRD) / ideal)
        assert ndcg(np.array([[False, True, False]]), self.one, 3) == pytest.approx(SECOND)

    def test_ndcg_judges_a_list_shorter_than_the_cut_by_the_cut(self) -> None:
        assert ndcg(np.array([[True]]), np.array([2]), 2) == pytest.approx(1 / (1 + SECOND))

    def test_reciprocal_rank_is_one_over_the_place_of_the_first_hit(self) -> None:
        assert reciprocal_rank(self.hit, 3).tolist() == [0.5]
        assert reciprocal_rank(self.hit, 1).tolist() == [0.0]

    def test_hit_rate_asks_whether_there_is_any(self) -> None:
        assert hit_rate(self.hit, 3).tolist() == [1.0]
        assert hit_rate(self.hit, 1).tolist() == [0.0]

    def test_a_user_without_targets_or_without_a_list_gets_zero(self) -> None:
        nothing = accuracy(np.empty((1, 0), dtype=np.int32), targets([]), (5,))
        assert {name: value.tolist() for name, value in nothing.items()} == {
            "ndcg@5": [0.0],
            "recall@5": [0.0],
            "mrr@5": [0.0],
            "hit@5": [0.0],
        }


@st.composite
def cases(draw: st.DrawFn) -> tuple[NDArray[np.int32], Targets]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_items, n_users = draw(st.integers(1, 12)), draw(st.integers(1, 5))
    lists = np.array([rng.permutation(n_items) for _ in range(n_users)], dtype=np.int32)
    lists[rng.random(lists.shape) < draw(st.sampled_from([0.0, 0.3]))] = -1
    wanted = [rng.permutation(n_items)[: rng.integers(1, n_items + 1)].tolist() for _ in range(n_users)]
    return lists, targets(*wanted)


@settings(deadline=None)  # cores are shared
@given(cases(), st.integers(1, 15))
def test_every_metric_lies_between_zero_and_one(case: tuple[NDArray[np.int32], Targets], k: int) -> None:
    for name, value in accuracy(*case, (k,)).items():
        assert np.all((value >= 0.0) & (value <= 1.0 + 1e-12)), name


@settings(deadline=None)  # cores are shared
@given(cases(), st.integers(1, 15), st.integers(0, 1_000))
def test_new_names_for_the_items_change_nothing(
    case: tuple[NDArray[np.int32], Targets], k: int, seed: int
) -> None:
    lists, wanted = case
    renamed = np.append(np.random.default_rng(seed).permutation(12), -1).astype(np.int32)
    before = accuracy(lists, wanted, (k,))
    after = accuracy(renamed[lists], Targets(wanted.offsets, renamed[wanted.rows]), (k,))
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)


@settings(deadline=None)  # cores are shared
@given(cases(), st.integers(1, 15))
def test_the_order_inside_the_cut_does_not_matter_to_recall_and_hits(
    case: tuple[NDArray[np.int32], Targets], k: int
) -> None:
    lists, wanted = case
    turned = np.concatenate([lists[:, :k][:, ::-1], lists[:, k:]], axis=1)
    before, after = accuracy(lists, wanted, (k,)), accuracy(turned, wanted, (k,))
    for name in (f"recall@{k}", f"hit@{k}"):
        np.testing.assert_array_equal(after[name], before[name])


@settings(deadline=None)  # cores are shared
@given(cases())
def test_targets_first_is_the_best_list_of_all(case: tuple[NDArray[np.int32], Targets]) -> None:
    lists, wanted = case
    n = lists.shape[1]
    best = np.full(lists.shape, -1, dtype=np.int32)
    for user in range(len(lists)):
        own = wanted.rows[wanted.offsets[user] : wanted.offsets[user + 1]]
        best[user, : len(own)] = own
    for name, value in accuracy(best, wanted, (n,)).items():
        np.testing.assert_allclose(value, 1.0, err_msg=name)


@settings(deadline=None)  # cores are shared
@given(cases())
def test_the_metrics_of_a_part_are_a_part_of_the_metrics(case: tuple[NDArray[np.int32], Targets]) -> None:
    lists, wanted = case
    whole = accuracy(lists, wanted, (3,))
    part = accuracy(lists[1:], wanted.slice(1, len(lists)), (3,))
    for name, value in part.items():
        np.testing.assert_array_equal(value, whole[name][1:])
