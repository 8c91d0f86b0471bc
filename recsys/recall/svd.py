"""Latent factors of the user-item matrix: a user is the decayed sum of the factors of the history.

Source: PureSVD, Cremonesi, Koren and Turrin, "Performance of Recommender Algorithms on Top-N Recommendation
Tasks", RecSys 2010; users are folded in, so there is no user table.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from recsys.core.settings import FrozenModel
from recsys.data.log import InteractionLog
from recsys.features.history import position_decay, weighted_sum
from recsys.features.users import HISTORY_LENGTH, UserBatch
from recsys.recall.index import IndexConfig, VectorIndex, build_index
from recsys.recall.source import Ranked
from recsys.registry.bundle import BundleReader, BundleWriter

_FOLDER = "recall/svd"


class SvdConfig(FrozenModel):
    """How the factors are found and used."""

    n_factors: PositiveInt = 64
    """Dimensions of an item's factors."""

    popularity_exponent: NonNegativeFloat = 0.5
    """Columns are divided by popularity to this power, so that hits do not take all factors."""

    time_constant_items: PositiveFloat = 20.0
    """A history item this many positions ago counts 1/e."""

    history_length: int = Field(default=100, ge=1, le=HISTORY_LENGTH)
    """Items of the history that are summed."""

    index: IndexConfig = IndexConfig()
    """The index over the factors."""


@dataclass(frozen=True, slots=True)
class SvdSource:
    """Inner product of item factors and the user's decayed sum of factors."""

    index: VectorIndex
    config: SvdConfig
    name: str = "svd"

    def _vectors(self, users: UserBatch) -> NDArray[np.float32]:
        decay = position_decay(self.config.time_constant_items, self.config.history_length)
        return weighted_sum(users, self.index.vectors, decay)

    def search(self, users: UserBatch, n: int, blocked: NDArray[np.bool_]) -> Ranked:
        """Name the items nearest to the user."""
        return self.index.search(self._vectors(users), n, blocked)

    def score(self, users: UserBatch, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the inner products of given items."""
        return self.index.score(self._vectors(users), item_rows)

    def save(self, writer: BundleWriter) -> None:
        """Write under ``recall/svd/``."""
        self.index.save(writer, _FOLDER)
        writer.json(f"{_FOLDER}/config", self.config.model_dump())

    @classmethod
    def load(cls, reader: BundleReader) -> Self:
        """Read back what :meth:`save` wrote."""
        config = SvdConfig.model_validate(reader.json(f"{_FOLDER}/config"))
        return cls(VectorIndex.load(reader, _FOLDER), config)


def fit_svd(log: InteractionLog, config: SvdConfig, *, seed: int = 0) -> SvdSource:
    """Factorise the binary user-item matrix, its columns scaled by popularity."""
    popularity = np.bincount(log.item_rows, minlength=log.n_items).astype(np.float64)
    scale = 1.0 / np.maximum(popularity, 1.0) ** config.popularity_exponent
    matrix = scipy.sparse.csr_array(
        (scale[log.item_rows].astype(np.float32), log.item_rows, log.offsets),
        shape=(log.n_users, log.n_items),
        copy=True,  # scipy may sort in place
    )
    n_factors = min(config.n_factors, min(matrix.shape) - 1)
    if n_factors < 1:
        return SvdSource(build_index(np.zeros((log.n_items, 1), np.float32), config.index), config)
    start = np.random.default_rng(seed).standard_normal(min(matrix.shape))
    _, _, factors = scipy.sparse.linalg.svds(matrix, k=n_factors, v0=start, return_singular_vectors=True)
    return SvdSource(build_index(_signed(factors).T.astype(np.float32), config.index), config)


def _signed(factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make the largest entry of every factor positive: signs of an SVD are arbitrary."""
    largest = np.argmax(np.abs(factors), axis=1)
    signs = np.sign(factors[np.arange(len(factors)), largest])
    signed: NDArray[np.float64] = factors * signs[:, None]
    return signed
