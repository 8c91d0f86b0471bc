"""Items whose tags are like those of the user's latest items: works for items that nobody has touched."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat

from recsys.core.settings import FrozenModel
from recsys.features.history import position_decay, weighted_sum
from recsys.features.items import ItemTable
from recsys.features.users import HISTORY_LENGTH, UserBatch
from recsys.recall.index import IndexConfig, VectorIndex, build_index
from recsys.recall.source import Ranked
from recsys.registry.bundle import BundleReader, BundleWriter

_FOLDER = "recall/tags"


class TagsConfig(FrozenModel):
    """How a user's taste in tags is read from the history."""

    time_constant_items: PositiveFloat = 10.0
    """An item this many positions ago counts 1/e."""

    history_length: int = Field(default=50, ge=1, le=HISTORY_LENGTH)
    """Items looked at."""

    index: IndexConfig = IndexConfig()
    """The index over the tag vectors."""


@dataclass(frozen=True, slots=True)
class TagsSource:
    """Cosine between the tags of an item and the decayed tags of the history."""

    index: VectorIndex
    config: TagsConfig
    name: str = "tags"

    def _profiles(self, users: UserBatch) -> NDArray[np.float32]:
        decay = position_decay(self.config.time_constant_items, self.config.history_length)
        profiles = weighted_sum(users, self.index.vectors, decay)
        length = np.sqrt(np.sum(profiles * profiles, axis=1, keepdims=True))
        unit = profiles / np.where(length > 0, length, np.float32(1.0))
        return unit.astype(np.float32, copy=False)

    def search(self, users: UserBatch, n: int, blocked: NDArray[np.bool_]) -> Ranked:
        """Name the items with the most similar tags."""
        return self.index.search(self._profiles(users), n, blocked)

    def score(self, users: UserBatch, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the cosines, in [0, 1]."""
        return self.index.score(self._profiles(users), item_rows)

    def save(self, writer: BundleWriter) -> None:
        """Write under ``recall/tags/``."""
        self.index.save(writer, _FOLDER)
        writer.json(f"{_FOLDER}/config", self.config.model_dump())

    @classmethod
    def load(cls, reader: BundleReader) -> Self:
        """Read back what :meth:`save` wrote."""
        config = TagsConfig.model_validate(reader.json(f"{_FOLDER}/config"))
        return cls(VectorIndex.load(reader, _FOLDER), config)


def fit_tags(items: ItemTable, config: TagsConfig) -> TagsSource:
    """Index the tag vectors of the catalogue."""
    return TagsSource(build_index(np.asarray(items.tag_vectors), config.index), config)
