"""Which of all items comes next, as a multinomial choice: the softmax that the regression only approximates.

A user is the sum of what the latest items say, each item with one vector per decayed sum; an item's chance to
come next goes with exp(user . item + bias). Unlike the closed form of ``sequential`` the vectors are learned
on the chance of the item that really came, among those the user had not had yet, so places at the top of the
list count. There is no table of users: who came after the fit is as good as anybody else.

Source: the log-bilinear model of Mnih and Hinton, "Three New Graphical Models for Statistical Language
Modelling", ICML 2007, with decayed sums for its table of positions. See ``learning`` for the loss.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt

from recsys.core.settings import FrozenModel
from recsys.data.log import InteractionLog
from recsys.features.history import position_decay
from recsys.features.users import HISTORY_LENGTH, NO_ITEM, UserBatch
from recsys.recall.choice_loss import add_histories
from recsys.recall.head import head_of
from recsys.recall.index import IndexConfig, VectorIndex, build_index
from recsys.recall.learning import LearningConfig, learn_choices
from recsys.recall.source import Ranked
from recsys.registry.bundle import BundleReader, BundleWriter

_FOLDER = "recall/bilinear"
_NEGLIGIBLE = 5e-3  # places of a history whose weight has fallen below this are not read


class BilinearConfig(FrozenModel):
    """The sums, who takes part, and how the vectors are learned."""

    time_constants_items: tuple[PositiveFloat, ...] = Field(default=(0.7, 3.0, 12.0, 50.0), min_length=1)
    """After so many items, an item counts 1/e in each of the sums."""

    min_events: PositiveInt = 5
    """Items with fewer events in the log take no part; other sources name them."""

    max_items: PositiveInt = 20_000
    """Only the most popular items take part: every step of learning touches all of them."""

    learning: LearningConfig = LearningConfig()
    """Sizes, steps and the draw of wrong answers."""

    index: IndexConfig = IndexConfig()
    """The index over the items' vectors."""

    def decays(self) -> NDArray[np.float32]:
        """Return what an item counts in each sum by its place, shape (sums, HISTORY_LENGTH)."""
        return _decays(self.time_constants_items)


@lru_cache(maxsize=64)
def _decays(time_constants_items: tuple[float, ...]) -> NDArray[np.float32]:
    decays = np.stack([position_decay(constant, HISTORY_LENGTH) for constant in time_constants_items])
    decays[decays < _NEGLIGIBLE] = 0.0
    decays.flags.writeable = False  # one array for everybody
    return decays


@dataclass(frozen=True, slots=True)
class BilinearSource:
    """Inner product of an item's vector, its bias behind it, and the user's vector with a 1 behind it."""

    index: VectorIndex  # shape (items, dimensions + 1); zeros for items that take no part
    left: NDArray[np.float32]  # shape (sums, head, dimensions + 1): what an item adds to the user, 0 at last
    place_of: NDArray[np.int32]  # shape (items + 1,): place among those that take part, else NO_ITEM
    config: BilinearConfig
    name: str = "bilinear"

    def _vectors(self, users: UserBatch) -> NDArray[np.float32]:
        vectors = np.zeros((len(users), self.left.shape[2]), dtype=np.float32)
        places = self.place_of[users.history_rows]  # the last entry is for NO_ITEM
        add_histories(places, self.config.decays(), self.left, vectors)
        vectors[:, -1] = vectors.any(axis=1)  # nothing is known of whom no item speaks
        return vectors

    def search(self, users: UserBatch, n: int, blocked: NDArray[np.bool_]) -> Ranked:
        """Name the likeliest next items."""
        return self.index.search(self._vectors(users), n, blocked)

    def score(self, users: UserBatch, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return log odds of each item as the next one, up to a constant of all."""
        return self.index.score(self._vectors(users), item_rows)

    def save(self, writer: BundleWriter) -> None:
        """Write under ``recall/bilinear/``."""
        self.index.save(writer, _FOLDER)
        writer.array(f"{_FOLDER}/left", self.left)
        writer.array(f"{_FOLDER}/place_of", self.place_of)
        writer.json(f"{_FOLDER}/config", self.config.model_dump())

    @classmethod
    def load(cls, reader: BundleReader) -> Self:
        """Read back what :meth:`save` wrote."""
        return cls(
            VectorIndex.load(reader, _FOLDER),
            reader.array(f"{_FOLDER}/left"),
            reader.array(f"{_FOLDER}/place_of"),
            BilinearConfig.model_validate(reader.json(f"{_FOLDER}/config")),
        )


def fit_bilinear(log: InteractionLog, config: BilinearConfig, *, seed: int = 0) -> BilinearSource:
    """Learn the vectors of the items that take part from every position of the log."""
    popularity = np.bincount(log.item_rows, minlength=log.n_items)
    head = head_of(popularity, max_items=config.max_items, min_events=config.min_events)
    place_of = np.full(log.n_items + 1, NO_ITEM, dtype=np.int32)
    place_of[head] = np.arange(len(head), dtype=np.int32)
    learned = learn_choices(
        place_of[log.item_rows], log.offsets, len(head), config.decays(), config.learning, seed=seed
    )
    left = np.concatenate([learned.left, np.zeros_like(learned.left[:, :, :1])], axis=2)
    right = np.zeros((log.n_items, left.shape[2]), dtype=np.float32)
    right[head, :-1], right[head, -1] = learned.right, learned.bias
    return BilinearSource(build_index(right, config.index, seed=seed), left, place_of, config)
