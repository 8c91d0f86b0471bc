from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.features.users import NO_ITEM
from recsys.recall.index import IndexConfig, VectorIndex, build_index
from recsys.registry.reader import FolderBundleReader

FLAT = IndexConfig()
GRAPH = IndexConfig(flat_up_to_items=10)
N_ITEMS, N_DIMENSIONS = 400, 12


def drawn(n: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((n, N_DIMENSIONS)).astype(np.float32)


def best_open(
    vectors: NDArray[np.float32], query: NDArray[np.float32], blocked: NDArray[np.bool_], n: int
) -> list[int]:
    products = np.where(blocked, -np.inf, vectors @ query)
    best = np.argsort(-products, kind="stable")[:n]
    return [int(row) for row in best if products[row] > 0]


def block(n_users: int, rows: list[int], n_items: int = N_ITEMS) -> NDArray[np.bool_]:
    blocked = np.zeros((n_users, n_items), dtype=np.bool_)
    blocked[:, rows] = True
    return blocked


def test_a_small_catalogue_is_searched_exactly() -> None:
    vectors, queries = drawn(N_ITEMS), drawn(5, seed=1)
    index = build_index(vectors, FLAT)
    assert index.graph is None
    assert index.measured_recall == 1.0
    blocked = np.random.default_rng(2).random((5, N_ITEMS)) < 0.2
    found = index.search(queries, 20, blocked)
    for user in range(5):
        assert found.item_rows[user].tolist() == best_open(vectors, queries[user], blocked[user], 20)
        assert np.allclose(found.scores[user], vectors[found.item_rows[user]] @ queries[user], rtol=1e-5)


def test_beyond_the_limit_a_graph_reaches_the_promised_recall() -> None:
    vectors = drawn(N_ITEMS)
    index = build_index(vectors, GRAPH)
    assert isinstance(index.graph, faiss.IndexHNSW)
    assert index.measured_recall >= GRAPH.min_recall
    assert index.search_effort in GRAPH.hnsw_search_efforts
    queries, blocked = drawn(50, seed=3), block(50, [])
    found = index.search(queries, 50, blocked).item_rows
    wanted = [best_open(vectors, query, blocked[0], 50) for query in queries]
    hits = sum(len(set(a.tolist()) & set(b)) for a, b in zip(found, wanted, strict=True))
    assert hits / sum(map(len, wanted)) >= 0.95


def test_a_graph_that_misses_too_much_gives_way_to_exact_search() -> None:
    hopeless = IndexConfig(flat_up_to_items=10, hnsw_links=2, hnsw_build_effort=2, hnsw_search_efforts=(1,))
    index = build_index(drawn(4_000), hopeless)
    assert index.graph is None
    assert index.measured_recall == 1.0


@pytest.mark.parametrize("config", [FLAT, GRAPH], ids=["flat", "graph"])
def test_blocked_items_never_come_back_and_the_best_others_do(config: IndexConfig) -> None:
    vectors, queries = drawn(N_ITEMS), drawn(2, seed=1)
    index = build_index(vectors, config)
    favourites = best_open(vectors, queries[0], block(1, [])[0], 30)
    found = index.search(queries, 10, block(2, favourites)).item_rows
    assert not np.isin(found, favourites).any()
    assert found[0].tolist() == best_open(vectors, queries[0], block(1, favourites)[0], 10)


@pytest.mark.parametrize("config", [FLAT, GRAPH], ids=["flat", "graph"])
def test_a_user_who_has_seen_nearly_everything_gets_what_is_left(config: IndexConfig) -> None:
    vectors = np.abs(drawn(N_ITEMS))
    index = build_index(vectors, config.model_copy(update={"max_overfetch": 50}))
    left = [3, 77, 200]
    blocked = ~block(3, left)
    blocked[1] = False  # one ordinary user between two
    found = index.search(np.abs(drawn(3, seed=1)), 10, blocked).item_rows
    for user in (0, 2):
        assert sorted(found[user][:3].tolist()) == left
        assert set(found[user][3:].tolist()) == {NO_ITEM}
    assert (found[1] != NO_ITEM).all()


def test_everything_blocked_finds_nothing() -> None:
    index = build_index(drawn(N_ITEMS), FLAT.model_copy(update={"max_overfetch": 50}))
    found = index.search(drawn(1), 3, np.ones((1, N_ITEMS), dtype=np.bool_))
    assert found.item_rows.tolist() == [[NO_ITEM] * 3]
    assert found.scores.tolist() == [[-np.inf] * 3]


def test_items_without_a_vector_and_products_below_zero_are_never_found() -> None:
    vectors = np.array([[1.0], [0.0], [-1.0], [2.0]], dtype=np.float32)
    index = build_index(vectors, FLAT)
    assert index.rows.tolist() == [0, 2, 3]
    found = index.search(np.array([[1.0], [0.0]], dtype=np.float32), 4, block(2, [], 4))
    assert found.item_rows.tolist() == [[3, 0, NO_ITEM, NO_ITEM], [NO_ITEM] * 4]


def test_an_index_over_nothing_finds_nothing() -> None:
    index = build_index(np.zeros((5, 3), dtype=np.float32), FLAT)
    found = index.search(np.ones((2, 3), dtype=np.float32), 2, block(2, [], 5))
    assert found.item_rows.tolist() == [[NO_ITEM, NO_ITEM]] * 2


@pytest.mark.parametrize("config", [FLAT, GRAPH], ids=["flat", "graph"])
def test_nobody_who_asks_for_nothing_gets_anything(config: IndexConfig) -> None:
    found = build_index(drawn(N_ITEMS), config).search(drawn(2), 0, block(2, []))
    assert found.item_rows.shape == found.scores.shape == (2, 0)


def test_scores_of_given_items_are_inner_products_and_zero_where_padded() -> None:
    index = build_index(np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32), FLAT)
    query = np.array([[10.0, 1.0]], dtype=np.float32)
    rows = np.array([[1, NO_ITEM, 0]], dtype=np.int32)
    assert index.score(query, rows).tolist() == [[34.0, 0.0, 12.0]]


@pytest.mark.parametrize("config", [FLAT, GRAPH], ids=["flat", "graph"])
def test_who_else_is_in_the_batch_changes_no_bit(config: IndexConfig) -> None:
    vectors = np.repeat(drawn(N_ITEMS // 4), 4, axis=0)  # every score four times: ties everywhere
    index = build_index(vectors, config.model_copy(update={"max_overfetch": 300, "min_recall": 0.0}))
    queries = drawn(64, seed=1)
    rng = np.random.default_rng(5)
    blocked = rng.random((64, N_ITEMS)) < rng.random((64, 1))  # few to nearly all
    together = index.search(queries, 30, blocked)
    for user in range(64):
        alone = index.search(queries[user : user + 1], 30, blocked[user : user + 1])
        assert np.array_equal(together.item_rows[user], alone.item_rows[0])
        assert np.array_equal(together.scores[user], alone.scores[0])


@settings(max_examples=30)
@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_exact_search_agrees_with_sorting_all_products(n: int, n_dimensions: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-3, 4, size=(300, n_dimensions)).astype(np.float32)  # three panels
    query = rng.integers(-3, 4, size=(1, n_dimensions)).astype(np.float32)
    blocked = rng.random((1, 300)) < 0.4
    index = build_index(vectors, FLAT)
    found = index.search(query, n, blocked)
    products = np.where(blocked[0], 0.0, vectors @ query[0])
    wanted = np.sort(products[products > 0])[::-1][:n]
    n_found = int(np.count_nonzero(found.item_rows[0] >= 0))
    assert found.scores[0, :n_found].tolist() == wanted.tolist()  # whole numbers: exact in float32
    rows = found.item_rows[0, :n_found]
    best = np.lexsort((np.arange(300), -products))  # of equal ones the smaller row
    assert rows.tolist() == best[: len(wanted)].tolist()


@pytest.mark.parametrize("config", [FLAT, GRAPH], ids=["flat", "graph"])
def test_an_index_comes_back_from_a_bundle(
    config: IndexConfig, bundle_of: Callable[..., FolderBundleReader]
) -> None:
    index = build_index(drawn(N_ITEMS), config)
    read = VectorIndex.load(bundle_of(lambda writer: index.save(writer, "near")), "near")
    queries, blocked = drawn(3, seed=1), block(3, [1, 2])
    assert (read.measured_recall, read.search_effort) == (index.measured_recall, index.search_effort)
    assert np.array_equal(read.search(queries, 9, blocked).scores, index.search(queries, 9, blocked).scores)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="counts pages as Linux does")
def test_a_loaded_index_leaves_its_vectors_in_the_file(
    bundle_of: Callable[..., FolderBundleReader],
) -> None:
    vectors = np.random.default_rng(0).standard_normal((200_000, 64)).astype(np.float32)  # 49 MiB
    built = build_index(vectors, IndexConfig(flat_up_to_items=len(vectors)))
    reader = bundle_of(lambda writer: built.save(writer, "index"))
    before_kb = _anonymous_kb()
    loaded = VectorIndex.load(reader, "index")
    loaded.search(vectors[:4], 10, np.zeros((4, len(vectors)), dtype=np.bool_))
    assert _anonymous_kb() - before_kb < 24 * 1024  # a copy would be twice that


def _anonymous_kb() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
    raise AssertionError("no RssAnon")
