"""Items that users chose near the ones this user chose lately.

Source: the co-visitation graph of Davidson et al., "The YouTube Video Recommendation System",
RecSys 2010, with the weight of a pair falling by its distance in the sequence.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from recsys.core.settings import FrozenModel
from recsys.data.log import InteractionLog
from recsys.features.history import position_decay
from recsys.features.users import HISTORY_LENGTH, UserBatch
from recsys.recall.neighbours import NeighbourTable
from recsys.recall.pairs import strongest_pairs
from recsys.recall.source import Ranked
from recsys.registry.bundle import BundleReader, BundleWriter

_FOLDER = "recall/covisitation"


class CovisitationConfig(FrozenModel):
    """How pairs are counted and summed."""

    n_lags: PositiveInt = 10
    """Pairs up to so many positions apart count, with weight 1 / distance."""

    backward: float = Field(default=0.5, ge=0.0, le=1.0)
    """What a pair counts in the direction against time."""

    popularity_exponent: NonNegativeFloat = 0.5
    """Counts are divided by the popularity of both items to this power; 0.5 gives a cosine."""

    n_neighbours: PositiveInt = 100
    """Neighbours kept per item."""

    time_constant_items: PositiveFloat = 5.0
    """A history item this many positions ago counts 1/e."""

    history_length: int = Field(default=20, ge=1, le=HISTORY_LENGTH)
    """Items of the history that are spread."""


@dataclass(frozen=True, slots=True)
class CovisitationSource:
    """Sum of the neighbour weights of the user's latest items."""

    table: NeighbourTable
    config: CovisitationConfig
    name: str = "covisitation"

    @property
    def _decay(self) -> NDArray[np.float32]:
        return position_decay(self.config.time_constant_items, self.config.history_length)

    def search(self, users: UserBatch, n: int, blocked: NDArray[np.bool_]) -> Ranked:
        """Name the strongest neighbours of the latest items."""
        return self.table.strongest(users.history_rows, self._decay, blocked, n)

    def score(self, users: UserBatch, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the summed weights of given items."""
        return self.table.sums(users.history_rows, self._decay, item_rows)

    def save(self, writer: BundleWriter) -> None:
        """Write under ``recall/covisitation/``."""
        self.table.save(writer, _FOLDER)
        writer.json(f"{_FOLDER}/config", self.config.model_dump())

    @classmethod
    def load(cls, reader: BundleReader) -> Self:
        """Read back what :meth:`save` wrote."""
        config = CovisitationConfig.model_validate(reader.json(f"{_FOLDER}/config"))
        return cls(NeighbourTable.load(reader, _FOLDER), config)


def fit_covisitation(log: InteractionLog, config: CovisitationConfig) -> CovisitationSource:
    """Count pairs, divide by popularity, keep the strongest."""
    popularity = np.bincount(log.item_rows, minlength=log.n_items)
    scale = np.maximum(popularity, 1) ** -config.popularity_exponent
    table = strongest_pairs(
        log,
        config.n_neighbours,
        lag_weights=1.0 / np.arange(1, config.n_lags + 1),
        backward=config.backward,
        scale_from=scale,
        scale_to=scale,
    )
    return CovisitationSource(table, config)
