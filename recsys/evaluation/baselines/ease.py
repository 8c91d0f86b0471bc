"""EASE: a linear model from all items met to all items, in closed form.

Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt
from scipy import linalg

from recsys.core.errors import UnavailableError
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


class EaseConfig(FrozenModel):
    """How much EASE is held back, and what it may cost."""

    l2: PositiveFloat = 200.0
    """Added to the diagonal of the co-occurrence counts; larger trusts the data less. Of 200, 500 and
    1000 the best on ml-latest-small, leave-last-out: a baseline is to be at its strongest."""

    max_items: PositiveInt = 12_000
    """Refuse more items with training events: memory grows with their square, time with their cube."""


@dataclass(frozen=True, slots=True)
class Ease:
    """Weights between the items that have training events; only :func:`fit_ease` makes one."""

    active_rows: NDArray[np.int64]  # shape (active,), rising item rows
    weights: NDArray[np.float32]  # shape (active, active), diagonal 0; row: history, column: scored
    preference: NDArray[np.int64]  # shape (items,), place from least to most popular, for ties

    def top(self, users: UserBatch, n: int) -> NDArray[np.int32]:
        """Return the items with the largest summed weight from the history, shape (users, n)."""
        return best_rows(
            self._every_score(users, -np.inf), users, n, self.preference
        )  # unmet items come last

    def scores(self, users: UserBatch, item_rows: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the summed weight from the history to each item, shape of ``item_rows``; unmet: 0."""
        return chosen_scores(self._every_score(users, 0.0), item_rows, self.preference)

    def _every_score(self, users: UserBatch, of_unmet: float) -> NDArray[np.float32]:
        n_items = len(self.preference)
        scores = np.full((len(users), n_items), of_unmet, dtype=np.float32)
        scores[:, self.active_rows] = history_matrix(users, n_items)[:, self.active_rows] @ self.weights
        return scores


def fit_ease(
    train: InteractionLog,
    items: pl.DataFrame,
    config: EaseConfig,
) -> Ease:
    """Invert the regularised co-occurrence of all items that have training events.

    Raises:
        UnavailableError: more than ``config.max_items`` have some, or the inverse needs a larger ``l2``.
    """
    del items
    active_rows = np.unique(train.item_rows).astype(np.int64)
    if len(active_rows) > config.max_items:
        gigabytes = len(active_rows) ** 2 * 4 / 1e9
        why = f"{len(active_rows):,} items would need {gigabytes:.1f} GB per matrix; the limit is"
        raise UnavailableError("ease", f"{why} {config.max_items:,} items")
    met = user_item_matrix(train)[:, active_rows]
    gram = (met.T @ met).toarray(order="F")
    gram[np.diag_indices_from(gram)] += np.float32(config.l2)
    return Ease(active_rows, _weights(gram), popularity_preference(train))


def _weights(gram: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return -P / diag(P), column by column, with diagonal 0, where P is the inverse; overwrites ``gram``."""
    factor, not_positive = linalg.lapack.spotrf(gram, lower=0, overwrite_a=1)
    if not_positive:
        raise UnavailableError("ease", "the co-occurrence matrix is singular in 32 bits; a larger l2 helps")
    inverse, _ = linalg.lapack.spotri(factor, lower=0, overwrite_c=1)
    weights: NDArray[np.float32] = np.triu(inverse)
    weights += np.triu(inverse, 1).T
    weights /= -np.diag(weights).copy()
    weights[np.diag_indices_from(weights)] = 0.0
    return weights
