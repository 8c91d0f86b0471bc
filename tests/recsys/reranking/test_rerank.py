import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from recsys.features.items import ItemTable
from recsys.features.users import NO_ITEM
from recsys.reranking.rerank import RerankingConfig, Slate, rerank


def items(tag_vectors: list[list[float]], creators: list[int] | None = None) -> ItemTable:
    n = len(tag_vectors)
    return ItemTable(
        tag_vectors=np.array(tag_vectors, dtype=np.float32),
        creator_rows=np.array(creators or range(n), dtype=np.int32),
        published_s=np.zeros(n),
        duration_s=np.zeros(n, dtype=np.float32),
        available=np.ones(n, dtype=np.bool_),
    )


TWO_ALIKE = items([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])  # items 0 and 1 have the same tag
FREE = RerankingConfig()


def listed(
    scores: list[float],
    n: int,
    *,
    table: ItemTable = TWO_ALIKE,
    config: RerankingConfig = FREE,
    variety: float | None = None,
    rows: list[int] | None = None,
) -> list[int]:
    slate = rerank(
        np.array([range(len(scores)) if rows is None else rows], dtype=np.int32),
        np.array([scores], dtype=np.float32),
        n,
        table,
        config,
        None if variety is None else np.array([variety], dtype=np.float32),
    )
    return [int(row) for row in slate.item_rows[0]]


def test_without_variety_and_caps_the_scores_decide() -> None:
    assert listed([1.0, 3.0, 2.0], 3) == [1, 2, 0]
    assert listed([1.0, 3.0, 2.0], 2, variety=0.0) == [1, 2]


def test_variety_puts_an_unlike_item_between_two_alike() -> None:
    # Relevance on [0, 1]: 1, 0.9, 0. After item 0, item 1 gains (1 - v) * 0.9 - v * 1, item 2 gains 0.
    assert listed([10.0, 9.0, 0.0], 3, variety=0.5) == [0, 2, 1]
    assert listed([10.0, 9.0, 0.0], 3, variety=0.4) == [0, 1, 2]


def test_full_variety_looks_at_likeness_alone() -> None:
    table = items([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    assert listed([3.0, 2.0, 1.0], 3, table=table, variety=1.0) == [0, 2, 1]


def test_more_items_of_one_creator_come_after_everything_else() -> None:
    table = items([[0.0]] * 4, creators=[5, 5, 5, 6])
    config = RerankingConfig(max_per_creator=1)
    assert listed([4.0, 3.0, 2.0, 1.0], 4, table=table, config=config) == [0, 3, 1, 2]


def test_items_of_unknown_creators_are_not_one_creator() -> None:
    table = items([[0.0]] * 3, creators=[-1, -1, -1])
    assert listed([3.0, 2.0, 1.0], 3, table=table, config=RerankingConfig(max_per_creator=1)) == [0, 1, 2]


def test_more_items_with_one_tag_come_after_everything_else() -> None:
    assert listed([3.0, 2.0, 1.0], 3, config=RerankingConfig(max_per_tag=1)) == [0, 2, 1]
    assert listed([3.0, 2.0, 1.0], 3, config=RerankingConfig(max_per_tag=2)) == [0, 1, 2]


def test_items_over_a_cap_keep_the_order_of_their_gains() -> None:
    table = items([[0.0]] * 5, creators=[5, 5, 5, 5, 5])
    scores = [1.00, 1.02, 1.01, 1.04, 1.03]
    config = RerankingConfig(max_per_creator=1)
    assert listed(scores, 5, table=table, config=config, variety=0.01) == [3, 4, 1, 2, 0]


def test_an_item_deep_down_moves_up_only_from_the_pool() -> None:
    table = items([[1.0, 0.0]] * 9 + [[0.0, 1.0]])
    scores = [float(10 - row) for row in range(10)]
    assert listed(scores, 2, table=table, variety=1.0, config=RerankingConfig(pool=6))[1] != 9
    assert listed(scores, 2, table=table, variety=1.0, config=RerankingConfig(pool=10))[1] == 9


@pytest.mark.parametrize("variety", [None, 0.0, 0.7])
@pytest.mark.parametrize("config", [FREE, RerankingConfig(max_per_creator=1)])
def test_short_candidate_lists_give_short_slates_without_repeats(
    variety: float | None, config: RerankingConfig
) -> None:
    rows = [1, NO_ITEM, 0, NO_ITEM]
    slate = listed([1.0, 99.0, 2.0, 99.0], 5, rows=rows, variety=variety, config=config)
    assert slate == [0, 1, NO_ITEM, NO_ITEM, NO_ITEM]


def test_users_of_one_batch_choose_their_own_variety() -> None:
    slate = rerank(
        np.array([[0, 1, 2]] * 2, dtype=np.int32),
        np.array([[10.0, 9.0, 0.0]] * 2, dtype=np.float32),
        3,
        TWO_ALIKE,
        FREE,
        np.array([0.0, 1.0], dtype=np.float32),
    )
    assert slate.item_rows.tolist() == [[0, 1, 2], [0, 2, 1]]


def test_scores_and_columns_go_with_their_items() -> None:
    slate = rerank(
        np.array([[7, NO_ITEM, 3]], dtype=np.int32),
        np.array([[0.5, 9.0, 0.8]], dtype=np.float32),
        3,
        items([[0.0]] * 8),
        FREE,
    )
    assert slate.item_rows.tolist() == [[3, 7, NO_ITEM]]
    assert slate.scores[0].tolist() == pytest.approx([0.8, 0.5, -np.inf])
    assert slate.columns.tolist() == [[2, 0, NO_ITEM]]


def test_a_cap_below_one_is_refused() -> None:
    with pytest.raises(ValidationError, match="max_per_tag"):
        RerankingConfig(max_per_tag=0)


@st.composite
def questions(draw: st.DrawFn) -> tuple[NDArray[np.int32], NDArray[np.float32], ItemTable, RerankingConfig]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_items, n_users, width = draw(st.integers(1, 30)), draw(st.integers(1, 3)), draw(st.integers(1, 25))
    tags = (rng.random((n_items, 4)) < 0.4).astype(np.float32)
    length = np.linalg.norm(tags, axis=1, keepdims=True)
    table = items(
        (tags / np.where(length > 0, length, 1.0)).tolist(), rng.integers(-1, 4, size=n_items).tolist()
    )
    rows = np.full((n_users, width), NO_ITEM, dtype=np.int32)
    for row in rows:
        named = rng.permutation(n_items)[: rng.integers(0, width + 1)]
        row[rng.permutation(width)[: len(named)]] = named
    cap = st.none() | st.integers(1, 3)
    config = RerankingConfig(max_per_creator=draw(cap), max_per_tag=draw(cap), pool=draw(st.integers(1, 30)))
    return rows, rng.standard_normal(rows.shape).astype(np.float32), table, config


def served(slate: Slate, user: int) -> list[int]:
    return [int(row) for row in slate.item_rows[user] if row != NO_ITEM]


@given(questions(), st.integers(1, 12), st.floats(0.0, 1.0, width=32))
def test_a_slate_never_repeats_never_empties_and_never_invents(
    question: tuple[NDArray[np.int32], NDArray[np.float32], ItemTable, RerankingConfig],
    n: int,
    variety: float,
) -> None:
    rows, scores, table, config = question
    slate = rerank(rows, scores, n, table, config, np.full(len(rows), variety, dtype=np.float32))
    assert slate.item_rows.shape == slate.scores.shape == slate.columns.shape == (len(rows), n)
    for user in range(len(rows)):
        offered = set(rows[user].tolist()) - {NO_ITEM}
        got = served(slate, user)
        assert len(set(got)) == len(got) == min(n, len(offered))
        assert set(got) <= offered
        assert slate.item_rows[user, : len(got)].tolist() == got
        columns = slate.columns[user, : len(got)]
        assert rows[user, columns].tolist() == got
        assert np.array_equal(scores[user, columns], slate.scores[user, : len(got)])


@given(questions(), st.integers(1, 12))
def test_without_variety_and_caps_scores_never_rise(
    question: tuple[NDArray[np.int32], NDArray[np.float32], ItemTable, RerankingConfig], n: int
) -> None:
    rows, scores, table, _ = question
    slate = rerank(rows, scores, n, table, FREE, np.zeros(len(rows), dtype=np.float32))
    assert (slate.scores[:, 1:] <= slate.scores[:, :-1]).all()


@given(questions(), st.integers(1, 12))
def test_a_cap_is_broken_only_when_nothing_else_is_left_in_the_pool(
    question: tuple[NDArray[np.int32], NDArray[np.float32], ItemTable, RerankingConfig], n: int
) -> None:
    rows, scores, table, _ = question
    config = RerankingConfig(max_per_creator=1, pool=30)  # the pool is everything
    slate = rerank(rows, scores, n, table, config)
    for user in range(len(rows)):
        creators = [int(table.creator_rows[row]) for row in served(slate, user)]
        offered = [int(table.creator_rows[row]) for row in rows[user] if row != NO_ITEM]
        n_fresh = len({creator for creator in offered if creator >= 0}) + offered.count(-1)
        first = creators[: min(n, n_fresh)]
        known = [creator for creator in first if creator >= 0]
        assert len(set(known)) == len(known)
