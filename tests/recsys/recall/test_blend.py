import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.features.users import NO_ITEM
from recsys.recall.blend import best_source, blend
from recsys.recall.candidates import NOT_NAMED

ABSENT = int(NOT_NAMED)


def rows(*lists: list[int]) -> NDArray[np.int32]:
    return np.array(lists, dtype=np.int32)


def test_a_source_with_twice_the_quota_puts_two_items_where_another_puts_one() -> None:
    blended = blend([rows([1, 2, 3, 4]), rows([5, 6])], [2, 1], 6)
    assert blended.item_rows.tolist() == [[1, 5, 2, 3, 6, 4]]


def test_an_item_of_two_sources_counts_once_at_its_best_place_and_remembers_both() -> None:
    blended = blend([rows([1, 2]), rows([3, 2])], [1, 1], 4)
    assert blended.item_rows.tolist() == [[1, 3, 2, NO_ITEM]]
    assert blended.source_ranks[0].tolist() == [[0, ABSENT], [ABSENT, 0], [1, 1], [ABSENT, ABSENT]]


def test_padding_of_a_source_is_never_a_candidate() -> None:
    blended = blend([rows([NO_ITEM, NO_ITEM]), rows([7, NO_ITEM])], [1, 1], 2)
    assert blended.item_rows.tolist() == [[7, NO_ITEM]]
    assert blended.source_ranks[0].tolist() == [[ABSENT, 0], [ABSENT, ABSENT]]


def test_each_user_gets_a_list_of_their_own() -> None:
    blended = blend([rows([1, 2], [2, 1]), rows([3, 4], [NO_ITEM, NO_ITEM])], [1, 1], 3)
    assert blended.item_rows.tolist() == [[1, 3, 2], [2, 1, NO_ITEM]]


def test_the_best_source_is_the_one_that_put_the_item_highest() -> None:
    ranks = np.array([[[4, 1], [3, ABSENT], [ABSENT, 9]]], dtype=np.int16)
    assert best_source(ranks, [3, 1]).tolist() == [[0, 0, 1]]
    assert best_source(ranks, [1, 1]).tolist() == [[1, 0, 1]]


@st.composite
def named_lists(draw: st.DrawFn) -> list[NDArray[np.int32]]:
    n_users = draw(st.integers(1, 3))
    lists = []
    for _ in range(draw(st.integers(1, 4))):
        width = draw(st.integers(1, 6))
        one = st.lists(st.integers(0, 9), unique=True, max_size=width)
        padded = [(named + [NO_ITEM] * width)[:width] for named in (draw(one) for _ in range(n_users))]
        lists.append(rows(*padded))
    return lists


@given(named_lists(), st.lists(st.integers(1, 5), min_size=4, max_size=4), st.integers(1, 12))
def test_a_blend_repeats_nothing_invents_nothing_and_remembers_every_rank(
    named: list[NDArray[np.int32]], quotas: list[int], n: int
) -> None:
    blended = blend(named, quotas[: len(named)], n)
    for user, items in enumerate(blended.item_rows.tolist()):
        given_ranks = [
            {item: rank for rank, item in enumerate(source[user].tolist()) if item != NO_ITEM}
            for source in named
        ]
        offered = set().union(*given_ranks)
        kept = [item for item in items if item != NO_ITEM]
        assert len(set(kept)) == len(kept) == min(n, len(offered))
        assert items[: len(kept)] == kept  # padding comes last
        ranks = [[of_source.get(item, ABSENT) for of_source in given_ranks] for item in items]
        assert blended.source_ranks[user].tolist() == ranks


@given(named_lists(), st.lists(st.integers(1, 5), min_size=4, max_size=4), st.integers(1, 12))
def test_places_in_a_blend_never_fall_back(named: list[NDArray[np.int32]], quotas: list[int], n: int) -> None:
    quotas = quotas[: len(named)]
    blended = blend(named, quotas, n)
    places = np.where(
        blended.source_ranks == NOT_NAMED, np.inf, (blended.source_ranks + 0.5) / np.array(quotas)
    ).min(axis=2)
    assert (places[:, 1:] >= places[:, :-1]).all()
