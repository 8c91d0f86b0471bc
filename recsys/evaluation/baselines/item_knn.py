"""Items that the same users met: cosine of co-occurrence, the nearest neighbours of each item.

Source: Sarwar, Karypis, Konstan and Riedl, "Item-based Collaborative Filtering Recommendation Algorithms",
WWW 2001; shrinkage as in Bell and Koren, ICDM 2007.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, PositiveInt
from scipy import sparse

from recsys.core.settings import FrozenModel
from recsys.data.log import InteractionLog
from recsys.evaluation.baselines.full_ranking import (
    best_rows,
    chosen_scores,
    history_matrix,
    popularity_preference,
    user_item_matrix,
)
from recsys.features.users import UserBatch

_BLOCK = 512
"""Items whose similarities are dense at one time: 512 x 20,000 x 4 bytes are 40 MB."""


class ItemKnnConfig(FrozenModel):
    """How many neighbours, and how far rare items are trusted."""

    n_neighbours: PositiveInt = 20
    """Neighbours kept of each item. Of 20, 100 and 300 the best on ml-latest-small, leave-last-out."""

    shrinkage: NonNegativeFloat = 10.0
    """Added to the cosine's denominator, so that two items met once, by one user, are not identical."""


@dataclass(frozen=True, slots=True)
class ItemKnn:
    """Similarities of each item to its neighbours; only :func:`fit_item_knn` makes one."""

    similarity: sparse.csr_array  # shape (items, items), row: an item of the history, column: a neighbour
    preference: NDArray[np.int64]  # shape (items,), place from least to most popular, for ties

    def top(self, users: UserBatch, n: int) -> NDArray[np.int32]:
        """Return the items with the largest summed similarity to the history, shape (users, n)."""
        return best_rows(self._every_score(users), users, n, self.preference)

    def scores(self, users: UserBatch, item_rows: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the summed similarity of each item to the history, shape of ``item_rows``."""
        return chosen_scores(self._every_score(users), item_rows, self.preference)

    def _every_score(self, users: UserBatch) -> NDArray[np.float32]:
        summed = history_matrix(users, len(self.preference)) @ self.similarity
        return np.asarray(summed.toarray(), dtype=np.float32)


def fit_item_knn(
    train: InteractionLog,
    items: pl.DataFrame,
    config: ItemKnnConfig,
) -> ItemKnn:
    """Compare all items in blocks and keep the nearest of each."""
    del items
    met = user_item_matrix(train)
    met_by = met.T.tocsr()
    norms = np.sqrt(np.asarray(met.sum(axis=0), dtype=np.float32))
    blocks = [
        _nearest(met_by[start : start + _BLOCK] @ met, start, norms, config)
        for start in range(0, train.n_items, _BLOCK)
    ]
    return ItemKnn(sparse.csr_array(sparse.vstack(blocks)), popularity_preference(train))


def _nearest(
    together: sparse.csr_array, start: int, norms: NDArray[np.float32], config: ItemKnnConfig
) -> sparse.csr_array:
    """Return the similarities of items ``start``, ``start`` + 1, ... to others, 0 to all but the nearest."""
    counts = together.toarray()
    here = np.arange(len(counts))
    counts[here, start + here] = 0.0
    scale = norms[start : start + len(counts), None] * norms[None, :] + np.float32(config.shrinkage)
    cosine = np.divide(counts, scale, out=np.zeros_like(counts), where=counts > 0)
    if config.n_neighbours < cosine.shape[1]:
        far = np.argpartition(-cosine, config.n_neighbours, axis=1)[:, config.n_neighbours :]
        np.put_along_axis(cosine, far, 0.0, axis=1)
    return sparse.csr_array(cosine)
