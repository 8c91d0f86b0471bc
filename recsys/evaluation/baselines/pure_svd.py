"""PureSVD: the history projected onto the leading factors of the user-item matrix.

Unlike the recall source of the same root (:mod:`recsys.recall.svd`), nothing decays and nothing is scaled:
the published model, with its one setting chosen on validation positions.

Source: Cremonesi, Koren and Turrin, "Performance of Recommender Algorithms on Top-N Recommendation Tasks",
RecSys 2010.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveInt
from scipy.sparse.linalg import svds

from recsys.core.settings import FrozenModel
from recsys.data.log import InteractionLog
from recsys.evaluation.baselines.full_ranking import (
    best_rows,
    chosen_scores,
    history_matrix,
    popularity_preference,
    user_item_matrix,
)
from recsys.evaluation.baselines.validation import best_setting, hold_out_last
from recsys.features.users import UserBatch


class PureSvdConfig(FrozenModel):
    """Which numbers of factors to try."""

    n_factors: tuple[PositiveInt, ...] = Field(default=(50, 10, 20, 35, 75, 100, 150, 250), min_length=1)
    """The best on validation positions is taken; the first where there is nobody to ask."""

    seed: NonNegativeInt = 0
    """Of the validation users and of the start of the decomposition."""


@dataclass(frozen=True, slots=True)
class PureSvd:
    """Factors of the items; only :func:`fit_pure_svd` makes one."""

    factors: NDArray[np.float32]  # shape (items, factors), orthonormal columns, most important first
    preference: NDArray[np.int64]  # shape (items,), place from least to most popular, for ties

    def top(self, users: UserBatch, n: int) -> NDArray[np.int32]:
        """Return the items that the history, projected onto the factors, weighs most, shape (users, n)."""
        return best_rows(self._every_score(users), users, n, self.preference)

    def scores(self, users: UserBatch, item_rows: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the weight of each item in the projected history, shape of ``item_rows``."""
        return chosen_scores(self._every_score(users), item_rows, self.preference)

    def _every_score(self, users: UserBatch) -> NDArray[np.float32]:
        met = history_matrix(users, len(self.factors))
        every: NDArray[np.float32] = (met @ self.factors) @ self.factors.T
        return every


def fit_pure_svd(train: InteractionLog, items: pl.DataFrame, config: PureSvdConfig) -> PureSvd:
    """Choose the number of factors on validation positions, then decompose the whole training log."""
    del items
    preference = popularity_preference(train)
    validation = hold_out_last(train, seed=config.seed)
    most = _item_factors(validation.past, max(config.n_factors), config.seed)
    chosen = best_setting(validation, config.n_factors, lambda n: PureSvd(most[:, :n].copy(), preference))
    return PureSvd(_item_factors(train, chosen, config.seed), preference)


def _item_factors(log: InteractionLog, n_factors: int, seed: int) -> NDArray[np.float32]:
    """Return the leading right singular vectors of who met what, shape (items, factors)."""
    matrix = user_item_matrix(log)
    smaller = min(matrix.shape)
    kept = min(n_factors, smaller - 1)  # what the iteration can find
    if kept < 1 or matrix.nnz == 0:
        return np.zeros((log.n_items, 1), dtype=np.float32)
    start = np.random.default_rng(seed).standard_normal(smaller).astype(np.float32)
    _, _, rising = svds(matrix, k=kept, v0=start)
    return np.ascontiguousarray(rising[::-1].T, dtype=np.float32)
