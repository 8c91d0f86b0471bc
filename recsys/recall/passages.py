"""Passages of other users' lives that read like the end of this user's, and what came next in them.

For each of the user's latest items, the places where others chose it are looked up. A place weighs more when
the items before it are ones that this user chose lately as well; what followed there may follow here.
Nothing is averaged over an item's whole life, so a pattern that a few users share is not lost.

Source: nearest neighbours among sequences, as V-SKNN (Ludewig and Jannach, "Evaluation of Session-based
Recommendation Algorithms", UMUAI 2018) and STAN (Garg et al., SIGIR 2019); weighing contexts by how much of
them matches is that of prediction by partial matching (Cleary and Witten 1984).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from recsys.core.settings import FrozenModel
from recsys.data.log import InteractionLog
from recsys.features.history import position_decay
from recsys.features.users import HISTORY_LENGTH, NO_ITEM, UserBatch
from recsys.recall.reading import Reading, score_passages, search_passages
from recsys.recall.source import Ranked
from recsys.registry.bundle import BundleReader, BundleWriter

_FOLDER = "recall/passages"

Weights = NDArray[np.float32]
Rows = NDArray[np.int32]


class PassagesConfig(FrozenModel):
    """Where passages are looked for, and what counts in them."""

    n_anchors: int = Field(default=3, ge=1, le=HISTORY_LENGTH)
    """So many of the user's latest items are looked up."""

    anchor_time_constant_items: PositiveFloat = 2.0
    """A passage found by an item this many positions ago counts 1/e."""

    max_places: PositiveInt = 200
    """Places looked at per item, spread evenly over all that there are."""

    n_before: PositiveInt = 10
    """Items before a place that are compared."""

    n_after: PositiveInt = 10
    """Items after a place that count as what came next."""

    compared_history: int = Field(default=20, ge=1, le=HISTORY_LENGTH)
    """So many of the user's latest items are compared with those before a place."""

    compared_time_constant_items: PositiveFloat = 8.0
    """An item that both have counts 1/e when it lies this far back, on either side."""

    unlike: NonNegativeFloat = 0.1
    """Weight of a passage with nothing else in common than the item that found it."""

    near_time_constant_items: PositiveFloat = 1.0
    """What came so many positions later counts 1/e in the near sum."""

    far_time_constant_items: PositiveFloat = 8.0
    """The same for the far sum."""

    smoothing: NonNegativeFloat = 1.0
    """Added to the weight of all passages, so that little evidence promises little."""

    max_positions: PositiveInt = 5_000_000
    """Only so many positions are kept, those of users drawn at random."""

    def reading(self) -> Reading:
        """Return what the loops count things with."""
        near, far = self.near_time_constant_items, self.far_time_constant_items
        return Reading(
            anchors=position_decay(self.anchor_time_constant_items, self.n_anchors),
            compared=position_decay(self.compared_time_constant_items, self.compared_history),
            behind=position_decay(self.compared_time_constant_items, self.n_before),
            after=_stacked(near, far, self.n_after),
            before=position_decay(far, self.n_before),
            unlike=self.unlike,
            smoothing=self.smoothing,
        )


@lru_cache(maxsize=16)
def _stacked(near: float, far: float, length: int) -> Weights:
    stacked = np.stack([position_decay(near, length), position_decay(far, length)])
    stacked.flags.writeable = False
    return stacked


@dataclass(frozen=True, slots=True)
class PassagesSource:
    """Everybody's items one after another, and where each item stands among them."""

    lives: Rows  # shape (positions + users + 1,): item rows, NO_ITEM before, between and behind users
    places: Rows  # shape (kept places,), into ``lives``: those of item 0, of item 1, ...
    place_offsets: NDArray[np.int64]  # shape (items + 1,)
    config: PassagesConfig
    name: str = "passages"

    def search(self, users: UserBatch, n: int, blocked: NDArray[np.bool_]) -> Ranked:
        """Name the items that came next in the most alike passages, by the far sum."""
        best = Ranked.nothing(len(users), n)
        search_passages(*self._arguments(users), blocked, best.item_rows, best.scores)
        return best

    def score(self, users: UserBatch, item_rows: Rows) -> Weights:
        """Return the far sum of each item, in [0, n_after)."""
        return self.parts(users, item_rows)[1]

    def parts(self, users: UserBatch, item_rows: Rows) -> tuple[Weights, Weights, Weights]:
        """Return how strongly each item came soon after, within a while after, and before alike passages.

        Each of shape (users, items): sums over passages of their weight times what the distance counts,
        divided by the weight of all passages and the smoothing.
        """
        found = np.zeros((3, *item_rows.shape), dtype=np.float32)
        score_passages(*self._arguments(users), item_rows, found)
        near, far, before = found
        return near, far, before

    def _arguments(self, users: UserBatch) -> tuple[Rows, Rows, NDArray[np.int64], Rows, Reading]:
        return self.lives, self.places, self.place_offsets, users.history_rows, self.config.reading()

    def save(self, writer: BundleWriter) -> None:
        """Write under ``recall/passages/``."""
        writer.array(f"{_FOLDER}/lives", self.lives)
        writer.array(f"{_FOLDER}/places", self.places)
        writer.array(f"{_FOLDER}/place_offsets", self.place_offsets)
        writer.json(f"{_FOLDER}/config", self.config.model_dump())

    @classmethod
    def load(cls, reader: BundleReader) -> Self:
        """Read back what :meth:`save` wrote."""
        return cls(
            reader.array(f"{_FOLDER}/lives"),
            reader.array(f"{_FOLDER}/places"),
            reader.array(f"{_FOLDER}/place_offsets"),
            PassagesConfig.model_validate(reader.json(f"{_FOLDER}/config")),
        )


def fit_passages(log: InteractionLog, config: PassagesConfig, *, seed: int = 0) -> PassagesSource:
    """Lay everybody's items one after another and note where each item stands."""
    log = _of_some_users(log, config.max_positions, seed)
    where = np.arange(len(log.item_rows)) + log.user_rows + 1
    lives = np.full(len(log.item_rows) + log.n_users + 1, NO_ITEM, dtype=np.int32)
    lives[where] = log.item_rows
    by_item = np.argsort(log.item_rows, kind="stable")
    counts = np.bincount(log.item_rows, minlength=log.n_items)
    spread = _evenly(counts, config.max_places)
    kept = np.minimum(counts, config.max_places)
    return PassagesSource(
        lives,
        where[by_item[spread]].astype(np.int32),
        np.concatenate([[0], np.cumsum(kept)]).astype(np.int64),
        config,
    )


def _of_some_users(log: InteractionLog, max_positions: int, seed: int) -> InteractionLog:
    if len(log.item_rows) <= max_positions:
        return log
    drawn = np.random.default_rng(seed).permutation(log.n_users)
    fits = np.cumsum(log.lengths[drawn]) <= max_positions
    users = np.zeros(log.n_users, dtype=np.bool_)
    users[drawn[fits]] = True
    return log.of_users(users)


def _evenly(counts: NDArray[np.intp], n: int) -> NDArray[np.bool_]:
    """Mark at most ``n`` of each run of ``counts`` things, spread evenly; shape (sum of counts,)."""
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    of_run = np.repeat(counts, counts)
    share = within * n // of_run
    marked: NDArray[np.bool_] = (within == 0) | (share != (within - 1) * n // of_run)
    return marked
