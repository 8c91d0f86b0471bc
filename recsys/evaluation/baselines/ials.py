"""iALS: weighted matrix factorisation of who met what, through the library ``implicit``.

Users are folded in: the factors of a history are solved for when it asks, so there is no user table.

Sources: Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008; how much
its settings decide: Rendle, Krichene, Zhang and Koren, "Revisiting the Performance of iALS on Item
Recommendation Benchmarks", RecSys 2022.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from scipy.sparse import csr_array, csr_matrix
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

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


class IalsSetting(FrozenModel):
    """One way to factorise."""

    n_factors: PositiveInt
    """Dimensions of a user and of an item."""

    alpha: PositiveFloat
    """Weight of an item that was met; one that was not met weighs 1."""

    l2: PositiveFloat
    """Added to the diagonal when a user or an item is solved for."""


class IalsConfig(FrozenModel):
    """Which settings to try, and how long."""

    settings: tuple[IalsSetting, ...] = Field(
        default=tuple(
            IalsSetting(n_factors=n_factors, alpha=alpha, l2=l2)
            for n_factors, alpha, l2 in (
                (128, 4.0, 20.0),
                (32, 1.5, 3.0),
                (128, 4.0, 60.0),
                (128, 16.0, 50.0),
                (128, 16.0, 150.0),
                (256, 16.0, 50.0),
            )
        ),
        min_length=1,
    )
    """The best on validation positions is taken; the first where there is nobody to ask."""

    n_iterations: PositiveInt = 15
    """Times that users and items are solved for."""

    seed: NonNegativeInt = 0
    """Of the validation users and of the first factors."""


@dataclass(frozen=True, slots=True)
class Ials:
    """Factors of the items that have training events; only :func:`fit_ials` makes one."""

    factors: AlternatingLeastSquares
    active: NDArray[np.bool_]  # shape (items,), has training events
    preference: NDArray[np.int64]  # shape (items,), place from least to most popular, for ties

    def top(self, users: UserBatch, n: int) -> NDArray[np.int32]:
        """Return the items nearest to what the history is solved to, shape (users, n)."""
        return best_rows(
            self._every_score(users, -np.inf), users, n, self.preference
        )  # unmet items come last

    def scores(self, users: UserBatch, item_rows: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the inner product with each item, shape of ``item_rows``; unmet: 0."""
        return chosen_scores(self._every_score(users, 0.0), item_rows, self.preference)

    def _every_score(self, users: UserBatch, of_unmet: float) -> NDArray[np.float32]:
        history = history_matrix(users, len(self.active))
        with threadpool_limits(limits=1, user_api="blas"):  # its own threads call BLAS
            of_users = self.factors.recalculate_user(np.arange(len(users)), _as_matrix(history))
        every: NDArray[np.float32] = of_users @ self.factors.item_factors.T
        every[:, ~self.active] = of_unmet
        return every


def fit(train: InteractionLog, items: pl.DataFrame) -> Ials:
    """Fit with the default settings."""
    return fit_ials(train, items, IalsConfig())


def fit_ials(train: InteractionLog, items: pl.DataFrame, config: IalsConfig) -> Ials:
    """Choose the setting on validation positions, then factorise the whole training log."""
    del items
    validation = hold_out_last(train, seed=config.seed)
    chosen = best_setting(
        validation, config.settings, lambda setting: _factorise(validation.past, setting, config)
    )
    return _factorise(train, chosen, config)


def _factorise(log: InteractionLog, setting: IalsSetting, config: IalsConfig) -> Ials:
    with threadpool_limits(limits=1, user_api="blas"):
        factors = AlternatingLeastSquares(
            factors=setting.n_factors,
            alpha=setting.alpha,
            regularization=setting.l2,
            iterations=config.n_iterations,
            random_state=config.seed,
        )
        factors.fit(_as_matrix(user_item_matrix(log)), show_progress=False)
    active = np.bincount(log.item_rows, minlength=log.n_items) > 0
    return Ials(factors, active, popularity_preference(log))


def _as_matrix(array: csr_array) -> csr_matrix:
    """Return the same as a matrix, which is what the library takes."""
    return csr_matrix((array.data, array.indices, array.indptr), shape=array.shape)
