"""An inner-product index: exact for small catalogues, a graph of FAISS beyond, its recall measured.

Source: Johnson, Douze and Jegou, "Billion-scale similarity search with GPUs", IEEE Big Data 2019; the graph
is HNSW, Malkov and Yashunin, TPAMI 2020.
"""

from dataclasses import dataclass
from typing import Self

import faiss
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveInt

from recsys.core.compiled import compiled
from recsys.core.settings import FrozenModel
from recsys.features.users import NO_ITEM
from recsys.recall.exact import find_best, panels_of
from recsys.recall.faiss_api import bitmap_selector, graph_parameters, mapped_graph
from recsys.recall.source import Ranked, first_allowed
from recsys.registry.bundle import BundleReader, BundleWriter


class IndexConfig(FrozenModel):
    """Which index is built."""

    flat_up_to_items: NonNegativeInt = 50_000
    """Exact search up to so many items, HNSW beyond."""

    hnsw_links: int = Field(default=32, ge=2)
    """Links per node of the graph."""

    hnsw_build_effort: PositiveInt = 200
    """Candidates looked at while a node is linked (efConstruction)."""

    hnsw_search_efforts: tuple[PositiveInt, ...] = (256, 512, 1_024, 2_048)
    """Candidates looked at while searching (efSearch): the first that reaches ``min_recall`` is taken."""

    min_recall: float = Field(default=0.95, ge=0.0, le=1.0)
    """Recall at 100 against exact search; when no effort reaches it, the search stays exact."""

    max_overfetch: NonNegativeInt = 1_024
    """In a graph, a user with more blocked items than this is searched alone, past a selector."""


_DEPTH_STEP = 64


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """Finds the items whose vectors have the largest inner product with a user's vector."""

    vectors: NDArray[np.float32]  # shape (items, dimensions); a row of zeros is never found
    rows: NDArray[np.int32]  # shape (indexed,): item row of each vector that can be found
    panels: NDArray[np.float32]  # of these vectors, for exact search; none with a graph
    graph: faiss.IndexHNSW | None  # of these vectors; None: every search is exact
    measured_recall: float  # at 100, against exact search; 1.0 without a graph
    search_effort: int  # efSearch of the graph; 0 without one
    config: IndexConfig

    def search(self, queries: NDArray[np.float32], n: int, blocked: NDArray[np.bool_]) -> Ranked:
        """Return up to ``n`` items with a positive inner product for each query.

        A user gets the same items and scores, bit for bit, whoever else is in the batch.

        Args:
            queries: shape (users, dimensions).
            n: how many.
            blocked: shape (users, items), True where the item must not come back.
        """
        best = Ranked.nothing(len(queries), n)
        if n == 0:
            return best
        if self.graph is None:
            queries = np.ascontiguousarray(queries, dtype=np.float32)
            find_best(queries, self.panels, self.rows, blocked, best.item_rows, best.scores)
            return best
        n_blocked = _count(blocked)
        alone = n_blocked > self.config.max_overfetch
        depths = np.where(alone, 0, self._depths(n + n_blocked))
        for depth in np.unique(depths):
            members = np.flatnonzero(depths == depth)
            for users in [members] if depth else members[:, None]:
                found = self._search_graph(self.graph, queries[users], n, blocked[users], int(depth))
                best.item_rows[users], best.scores[users] = found.item_rows, found.scores
        return best

    def _depths(self, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many items to fetch: few different numbers, and each depends on its user alone."""
        return np.minimum(-(-wanted // _DEPTH_STEP) * _DEPTH_STEP, len(self.rows))

    def _search_graph(
        self,
        graph: faiss.IndexHNSW,
        queries: NDArray[np.float32],
        n: int,
        blocked: NDArray[np.bool_],
        depth: int,
    ) -> Ranked:
        """Fetch ``depth`` items and drop the blocked ones; with depth 0, pass over them (one user alone)."""
        selector = None if depth else bitmap_selector(~blocked[0, self.rows])
        k = depth or max(1, min(n, len(self.rows)))
        parameters = graph_parameters(max(self.search_effort, 2 * k), selector)
        scores, found = graph.search(queries, k, params=parameters)
        known = (found >= 0) & (scores > 0)
        item_rows = np.where(known, self.rows[found], NO_ITEM).astype(np.int32)
        return first_allowed(item_rows, scores, blocked, n)

    def score(self, queries: NDArray[np.float32], item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the inner products of given items, shape (users, items); 0.0 where padded."""
        products = np.zeros(item_rows.shape, dtype=np.float32)
        _inner_products(queries, self.vectors, item_rows, products)
        return products

    def save(self, writer: BundleWriter, folder: str) -> None:
        """Write vectors, what is searched, and settings under ``folder``."""
        writer.array(f"{folder}/vectors", self.vectors)
        writer.array(f"{folder}/rows", self.rows)
        writer.array(f"{folder}/panels", self.panels)
        writer.json(
            f"{folder}/index",
            {
                "is_exact": self.graph is None,
                "measured_recall": self.measured_recall,
                "search_effort": self.search_effort,
                "config": self.config.model_dump(),
            },
        )
        if self.graph is not None:
            faiss.write_index(self.graph, str(writer.path(f"{folder}/graph.faiss")))

    @classmethod
    def load(cls, reader: BundleReader, folder: str) -> Self:
        """Read back what :meth:`save` wrote."""
        about = reader.json(f"{folder}/index")
        return cls(
            reader.array(f"{folder}/vectors"),
            reader.array(f"{folder}/rows"),
            reader.array(f"{folder}/panels"),
            None if about["is_exact"] else mapped_graph(reader.path(f"{folder}/graph.faiss")),
            float(about["measured_recall"]),
            int(about["search_effort"]),
            IndexConfig.model_validate(about["config"]),
        )


@compiled
def _count(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many of each row are True; numpy turns every flag into a number of eight bytes first."""
    counts = np.zeros(len(flags), dtype=np.int64)
    for row in range(len(flags)):
        for flag in flags[row]:
            counts[row] += flag
    return counts


@compiled
def _inner_products(
    queries: NDArray[np.float32],
    vectors: NDArray[np.float32],
    item_rows: NDArray[np.int32],
    products: NDArray[np.float32],
) -> None:
    for user in range(len(item_rows)):
        query = queries[user]
        for column, row in enumerate(item_rows[user]):
            if row >= 0:
                vector = vectors[row]
                product = np.float32(0.0)
                for dimension in range(len(query)):
                    product += query[dimension] * vector[dimension]
                products[user, column] = product


def build_index(vectors: NDArray[np.float32], config: IndexConfig, *, seed: int = 0) -> VectorIndex:
    """Build the index that fits the size of the catalogue; rows of zeros stay outside.

    Args:
        vectors: shape (items, dimensions), finite.
        config: sizes and efforts.
        seed: chooses the queries that measure the recall of an inexact index.
    """
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    rows = np.flatnonzero(np.any(vectors != 0, axis=1)).astype(np.int32)
    indexed = vectors[rows]
    exact = VectorIndex(vectors, rows, panels_of(indexed), None, 1.0, 0, config)
    if len(rows) <= config.flat_up_to_items:
        return exact
    graph = faiss.IndexHNSWFlat(vectors.shape[1], config.hnsw_links, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = config.hnsw_build_effort
    graph.add(indexed)
    rng = np.random.default_rng(seed)
    queries = indexed[rng.integers(len(rows), size=(256, 3))].sum(axis=1)  # like a short history
    for effort in config.hnsw_search_efforts:
        recall = _recall_against(indexed, graph, queries, effort)
        if recall >= config.min_recall:
            return VectorIndex(vectors, rows, exact.panels[:0], graph, recall, effort, config)
    return exact


def _recall_against(
    vectors: NDArray[np.float32],
    graph: faiss.IndexHNSW,
    queries: NDArray[np.float32],
    effort: int,
    k: int = 100,
) -> float:
    k = min(k, len(vectors))
    _, want = faiss.knn(queries, vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
    _, got = graph.search(queries, k, params=graph_parameters(effort))
    hits = sum(len(np.intersect1d(a, b)) for a, b in zip(want, got, strict=True))
    return float(hits / want.size)
