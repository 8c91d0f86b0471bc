"""How the processes of the graph follow the catalogue: each makes its part of a bundle anew."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import numpy as np

from deployments.cursor import item_hashes, pack
from deployments.lane import Holding
from deployments.metrics import (
    CATALOGUE_EFFECT_SECONDS,
    CATALOGUE_ITEMS,
    CATALOGUE_READ_SECONDS,
    CATALOGUE_UNKNOWN,
    CATALOGUE_VERSION,
)
from deployments.settings import GraphArgs
from deployments.showcase import Showcase
from recsys.core.clock import Clock, monotonic_clock, unix_clock
from recsys.features.items import ItemTable
from recsys.overlay.follower import OverlayFollower
from recsys.overlay.open import open_overlay
from recsys.overlay.overlay import Overlay
from recsys.pipeline.catalogue import Catalogue
from recsys.pipeline.overlaid import (
    differences,
    overlaid_catalogue,
    overlaid_ranking,
    overlaid_recall,
    overlaid_reranking,
)
from recsys.pipeline.stages import RankingStage, RecallStage
from recsys.registry.bundle import BundleReader


class CatalogueFollower:
    """Looks for changes again and again, and lets them into force now and then.

    The first change after a quiet time counts at once; while more come, they are gathered, for every one that
    comes into force makes parts anew and empties the cache of lists.

    Args:
        follower: reads the overlay.
        every_s: between two that come into force.
        clock: monotonic seconds.
    """

    def __init__(self, follower: OverlayFollower, every_s: float, clock: Clock = monotonic_clock) -> None:
        self._follower = follower
        self._every_s = every_s
        self._clock = clock
        self._changed_s = -np.inf
        self._in_force = follower.now

    @property
    def in_force(self) -> Overlay:
        """What parts should be made by."""
        return self._in_force

    @property
    def read_s(self) -> float | None:
        """Unix time at which the overlay was last read without trouble; None: never."""
        return self._follower.read_s

    def refresh(self) -> None:
        """Look once."""
        found = self._follower.refresh()
        if found is not self._in_force and self._clock() >= self._changed_s + self._every_s:
            self._in_force, self._changed_s = found, self._clock()


def follow_catalogue(args: GraphArgs) -> CatalogueFollower | None:
    """Begin to follow the catalogue as the settings say; None where nobody should."""
    if not args.catalogue.enabled:
        return None
    follower = OverlayFollower(partial(open_overlay, args.state_url), unix_clock)
    return CatalogueFollower(follower, args.catalogue.every_s)


def recall_maker(share: float) -> Callable[[BundleReader, RecallStage, Overlay], RecallStage]:
    """Return what makes recall anew; ``share`` of the candidates are new items."""

    def make(reader: BundleReader, stage: RecallStage, overlay: Overlay) -> RecallStage:
        found = differences(stage.catalogue, overlay)
        return overlaid_recall(stage, ItemTable.load(reader), found, share) if len(found.rows) else stage

    return make


def ranking_by(reader: BundleReader, stage: RankingStage, overlay: Overlay) -> RankingStage:
    """Return ranking by the catalogue of now."""
    catalogue = Catalogue.load(reader)
    found = differences(catalogue, overlay)
    return overlaid_ranking(stage, catalogue, found) if len(found.rows) else stage


def showcase_by(reader: BundleReader, showcase: Showcase, overlay: Overlay) -> Showcase:
    """Return the router's part by the catalogue of now; its revision tells it from others of the bundle."""
    del reader
    found = differences(showcase.catalogue, overlay)
    CATALOGUE_UNKNOWN.set(found.n_unknown)
    if not len(found.rows):
        return showcase
    catalogue = overlaid_catalogue(showcase.catalogue, found)
    hashes = item_hashes(catalogue.items.ids)
    order = np.argsort(hashes, kind="stable")
    return replace(
        showcase,
        catalogue=catalogue,
        reranking=overlaid_reranking(showcase.reranking, showcase.catalogue, found),
        packed_hashes=pack(hashes),
        sorted_hashes=hashes[order],
        hash_order=order,
        revision=overlay.version,
    )


class Effects:
    """Measures how long changes of the catalogue take until everything that answers follows them.

    Args:
        clock: Unix time.
        observe: takes seconds, of each change.
    """

    def __init__(
        self,
        clock: Clock = unix_clock,
        observe: Callable[[float], None] = CATALOGUE_EFFECT_SECONDS.observe,
    ) -> None:
        self._clock = clock
        self._observe = observe
        self._version: int | None = None  # up to which all had their effect; None: not looked yet

    def look(self, overlay: Overlay, holdings: Iterable[Holding]) -> None:
        """Count the changes that have come into force everywhere since the last look.

        Args:
            overlay: what this router follows.
            holdings: what this router and all replicas that it asks hold.
        """
        version = min((holding.overlay for holding in holdings), default=0)
        if self._version is None:
            self._version = overlay.version  # what came before this process is not its to measure
        if version > self._version:
            now_s = self._clock()
            for item in overlay.items.values():
                if self._version < item.version <= version:
                    self._observe(max(0.0, now_s - item.accepted_s))
            self._version = version


def show_catalogue(follower: CatalogueFollower) -> None:
    """Bring the gauges of what this router knows of the catalogue up to date."""
    CATALOGUE_ITEMS.set(len(follower.in_force.items))
    CATALOGUE_VERSION.set(follower.in_force.version)
    CATALOGUE_READ_SECONDS.set(follower.read_s or 0.0)
