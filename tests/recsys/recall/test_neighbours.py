from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.features.users import NO_ITEM
from recsys.recall.neighbours import NeighbourTable
from recsys.registry.reader import FolderBundleReader

Dense = NDArray[np.float32]

SIZES = st.integers(1, 8)
SEEDS = st.integers(0, 2**32 - 1)


def sparse_weights(n_items: int, rng: np.random.Generator) -> NDArray[np.float32]:
    weights = rng.random((n_items, n_items), dtype=np.float32)
    return np.where(rng.random(weights.shape) < 0.5, weights, np.float32(0.0))


def dense(table: NeighbourTable) -> NDArray[np.float32]:
    weights = np.zeros((table.n_items, table.n_items + 1), dtype=np.float32)
    np.put_along_axis(weights, table.rows.astype(np.intp), table.weights, axis=1)
    return weights[:, :-1]


def table_of(weights: Dense, n_neighbours: int) -> NeighbourTable:
    """Keep the largest of each row, sorted by row number."""
    n = len(weights)
    best = np.argsort(-weights, axis=1, kind="stable")[:, :n_neighbours]
    best = np.sort(np.where(np.take_along_axis(weights, best, axis=1) > 0, best, n), axis=1)
    padded = np.pad(weights, ((0, 0), (0, 1)))
    return NeighbourTable(best.astype(np.int32), np.take_along_axis(padded, best, axis=1))


@given(SIZES, SIZES, SEEDS)
def test_looking_up_pairs_agrees_with_the_dense_table(n_items: int, n_neighbours: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = table_of(sparse_weights(n_items, rng), n_neighbours)
    padded = np.pad(dense(table), ((0, 1), (0, 1)))  # NO_ITEM is -1: the last row and column
    from_rows = rng.integers(NO_ITEM, n_items, size=4, dtype=np.int32)
    to_rows = rng.integers(NO_ITEM, n_items, size=(4, 6), dtype=np.int32)
    assert np.array_equal(table.lookup(from_rows, to_rows), padded[from_rows[:, None], to_rows])


def summed_up(table: NeighbourTable, history: NDArray[np.int32], decay: NDArray[np.float32]) -> Dense:
    rows = np.pad(dense(table), ((0, 1), (0, 0)))[history[:, : len(decay)]]  # (users, length, items)
    weights = np.where(history[:, : len(decay)] >= 0, decay, np.float32(0.0))
    return np.asarray(np.einsum("ul,uli->ui", weights, rows), dtype=np.float32)


def some_histories(n_items: int, rng: np.random.Generator) -> NDArray[np.int32]:
    history = rng.integers(0, n_items, size=(3, 4), dtype=np.int32)
    return np.where(np.arange(4) < rng.integers(0, 5, size=(3, 1)), history, NO_ITEM).astype(np.int32)


@given(SIZES, SEEDS)
def test_the_sums_of_a_history_are_weighted_sums_of_dense_rows(n_items: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = table_of(sparse_weights(n_items, rng), 3)
    history, decay = some_histories(n_items, rng), rng.random(3, dtype=np.float32)
    asked = rng.integers(NO_ITEM, n_items, size=(3, 5), dtype=np.int32)
    expected = np.pad(summed_up(table, history, decay), ((0, 0), (0, 1)))
    found = table.sums(history, decay, asked)
    assert np.allclose(found, expected[np.arange(3)[:, None], asked], rtol=1e-6, atol=1e-6)


@given(SIZES, SIZES, SEEDS)
def test_the_strongest_of_a_history_are_the_largest_sums_that_are_not_blocked(
    n_items: int, n: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    table = table_of(sparse_weights(n_items, rng), 3)
    history, decay = some_histories(n_items, rng), rng.random(3, dtype=np.float32)
    blocked = rng.random((3, n_items)) < 0.3
    best = table.strongest(history, decay, blocked, n)
    sums = summed_up(table, history, decay)
    for user in range(3):
        rows = best.item_rows[user][best.item_rows[user] >= 0]
        open_sums = np.where(blocked[user], 0.0, sums[user])
        expected = np.sort(open_sums[open_sums > 0])[::-1][:n]
        assert np.allclose(best.scores[user][: len(rows)], expected, rtol=1e-6)
        assert np.allclose(open_sums[rows], expected, rtol=1e-6)
        assert len(set(rows.tolist())) == len(rows)


def test_of_equal_sums_the_smaller_row_comes_first() -> None:
    table = table_of(np.ones((4, 4), dtype=np.float32), 4)
    decay = np.ones(2, dtype=np.float32)
    nothing = np.zeros((1, 4), dtype=np.bool_)
    best = table.strongest(np.array([[2, NO_ITEM]], dtype=np.int32), decay, nothing, 3)
    assert best.item_rows.tolist() == [[0, 1, 2]]


def test_a_table_comes_back_from_a_bundle(bundle_of: Callable[..., FolderBundleReader]) -> None:
    table = table_of(sparse_weights(6, np.random.default_rng(1)), 3)
    read = NeighbourTable.load(bundle_of(lambda writer: table.save(writer, "near")), "near")
    assert np.array_equal(read.rows, table.rows)
    assert np.array_equal(read.weights, table.weights)
