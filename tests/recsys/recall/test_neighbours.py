from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.features.users import NO_ITEM
from recsys.recall.neighbours import NeighbourTable, keep_strongest
from recsys.registry.reader import FolderBundleReader

SIZES = st.integers(1, 8)
SEEDS = st.integers(0, 2**32 - 1)


def sparse_weights(n_items: int, rng: np.random.Generator) -> NDArray[np.float32]:
    weights = rng.random((n_items, n_items), dtype=np.float32)
    return np.where(rng.random(weights.shape) < 0.5, weights, np.float32(0.0))


def dense(table: NeighbourTable) -> NDArray[np.float32]:
    weights = np.zeros((table.n_items, table.n_items + 1), dtype=np.float32)
    np.put_along_axis(weights, table.rows.astype(np.intp), table.weights, axis=1)
    return weights[:, :-1]


def test_the_two_strongest_are_kept_sorted_by_row() -> None:
    weights = np.array([[0.0, 3.0, 1.0, 2.0]] * 4, dtype=np.float32)
    table = keep_strongest([(0, weights)], 4, 2)
    assert table.rows[0].tolist() == [1, 3]
    assert table.weights[0].tolist() == [3.0, 2.0]


def test_weights_of_zero_are_padding_not_neighbours() -> None:
    weights = np.array([[0.0, 3.0, 0.0], [0.0, 0.0, 0.0], [1.0, 2.0, 0.0]], dtype=np.float32)
    table = keep_strongest([(0, weights)], 3, 2)
    assert table.rows.tolist() == [[1, 3], [3, 3], [0, 1]]
    assert table.weights.tolist() == [[3.0, 0.0], [0.0, 0.0], [1.0, 2.0]]


@given(SIZES, SIZES, SIZES, SEEDS)
def test_what_is_kept_is_the_largest_of_each_row_whatever_the_blocks(
    n_items: int, n_neighbours: int, block: int, seed: int
) -> None:
    weights = sparse_weights(n_items, np.random.default_rng(seed))
    blocks = [(start, weights[start : start + block]) for start in range(0, n_items, block)]
    table = keep_strongest(blocks, n_items, n_neighbours)
    least = -np.sort(-weights, axis=1)[:, min(n_neighbours, n_items) - 1, None]
    assert np.array_equal(dense(table), np.where(weights >= least, weights, 0.0))
    assert (np.diff(table.rows, axis=1) >= 0).all()


@given(SIZES, SIZES, SEEDS)
def test_looking_up_pairs_agrees_with_the_dense_table(n_items: int, n_neighbours: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = keep_strongest([(0, sparse_weights(n_items, rng))], n_items, n_neighbours)
    padded = np.pad(dense(table), ((0, 1), (0, 1)))  # NO_ITEM is -1: the last row and column
    from_rows = rng.integers(NO_ITEM, n_items, size=4, dtype=np.int32)
    to_rows = rng.integers(NO_ITEM, n_items, size=(4, 6), dtype=np.int32)
    assert np.array_equal(table.lookup(from_rows, to_rows), padded[from_rows[:, None], to_rows])


@given(SIZES, SEEDS)
def test_spreading_a_history_is_a_weighted_sum_of_dense_rows(n_items: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = keep_strongest([(0, sparse_weights(n_items, rng))], n_items, 3)
    history = rng.integers(NO_ITEM, n_items, size=(3, 4), dtype=np.int32)
    weights = np.where(history >= 0, rng.random(history.shape, dtype=np.float32), np.float32(0.0))
    rows = np.pad(dense(table), ((0, 1), (0, 0)))[history]  # (users, length, items)
    expected = np.einsum("ul,uli->ui", weights, rows)
    assert np.allclose(table.spread(history, weights), expected, rtol=1e-6, atol=1e-6)


def test_a_table_comes_back_from_a_bundle(bundle_of: Callable[..., FolderBundleReader]) -> None:
    table = keep_strongest([(0, sparse_weights(6, np.random.default_rng(1)))], 6, 3)
    read = NeighbourTable.load(bundle_of(lambda writer: table.save(writer, "near")), "near")
    assert np.array_equal(read.rows, table.rows)
    assert np.array_equal(read.weights, table.weights)
