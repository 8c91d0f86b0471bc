"""The set of sources that make up recall: their settings, fitting and loading, in one table."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveInt

from recsys.core.settings import FrozenModel
from recsys.core.threads import end_if_left
from recsys.data.log import InteractionLog
from recsys.features.items import ItemTable
from recsys.features.users import NO_ITEM, UserBatch
from recsys.recall.bilinear import BilinearConfig, BilinearSource
from recsys.recall.blend import blend
from recsys.recall.candidates import Candidates
from recsys.recall.covisitation import CovisitationConfig, CovisitationSource, fit_covisitation
from recsys.recall.passages import PassagesConfig, PassagesSource, fit_passages
from recsys.recall.popularity import PopularityRecallConfig, PopularitySource, fit_popularity_source
from recsys.recall.sequential import SequentialConfig, SequentialSource, fit_sequential
from recsys.recall.shelf import Shelf
from recsys.recall.svd import SvdConfig, SvdSource, fit_svd
from recsys.recall.tags import TagsConfig, TagsSource, fit_tags
from recsys.registry.bundle import BundleReader, BundleWriter


class Quotas(FrozenModel):
    """Shares of the candidates; a source names up to twice its share, to fill what others leave open.

    With a share of 0 a source is not asked for candidates; it still scores those of the others.
    """

    sequential: NonNegativeInt = 30
    bilinear: NonNegativeInt = 120
    passages: NonNegativeInt = 60
    covisitation: NonNegativeInt = 20
    svd: NonNegativeInt = 0
    tags: NonNegativeInt = 20
    popularity: PositiveInt = 30
    """More than 0: popular items fill what the others leave open."""

    def as_tuple(self) -> tuple[int, ...]:
        """Return the quotas in the order of :data:`SOURCE_NAMES`."""
        return tuple(getattr(self, name) for name in SOURCE_NAMES)


class RecallConfig(FrozenModel):
    """Settings of every source, and how many items each may name."""

    sequential: SequentialConfig = SequentialConfig()
    bilinear: BilinearConfig = BilinearConfig()
    passages: PassagesConfig = PassagesConfig()
    covisitation: CovisitationConfig = CovisitationConfig()
    svd: SvdConfig = SvdConfig()
    tags: TagsConfig = TagsConfig()
    popularity: PopularityRecallConfig = PopularityRecallConfig()
    quotas: Quotas = Quotas()


@dataclass(frozen=True, slots=True)
class Sources:
    """Every source, fitted on the same log."""

    sequential: SequentialSource
    bilinear: BilinearSource
    passages: PassagesSource
    covisitation: CovisitationSource
    svd: SvdSource
    tags: TagsSource
    popularity: PopularitySource

    def save(self, writer: BundleWriter) -> None:
        """Write every source under ``recall/``."""
        for name in SOURCE_NAMES:
            getattr(self, name).save(writer)

    @classmethod
    def load(cls, reader: BundleReader) -> "Sources":
        """Read every source back."""
        return cls(
            SequentialSource.load(reader),
            BilinearSource.load(reader),
            PassagesSource.load(reader),
            CovisitationSource.load(reader),
            SvdSource.load(reader),
            TagsSource.load(reader),
            PopularitySource.load(reader),
        )


SOURCE_NAMES: tuple[str, ...] = Sources.__slots__
"""Every source, in the order in which ranks and features list them."""

_POPULARITY = SOURCE_NAMES.index("popularity")


def fit_sources(
    log: InteractionLog,
    items: ItemTable,
    config: RecallConfig,
    *,
    seed: int = 0,
    sequential: SequentialSource | None = None,
    shelf: Shelf | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> Sources:
    """Fit every source on the same log.

    Args:
        log: positive interactions.
        items: the catalogue.
        config: settings.
        seed: for the sources that start from random numbers.
        sequential: of the same log, when sums that were kept have made it already; None: it is fitted.
        shelf: where what takes longest may lie already, and is put; None: nothing is kept.
        on_step: told the name of each source before it is fitted.
    """
    on_step = _unless_left(on_step)
    on_step("sequential")
    if sequential is None:
        sequential = fit_sequential(log, config.sequential, seed=seed)
    on_step("bilinear")
    bilinear = (Shelf() if shelf is None else shelf).bilinear(log, config.bilinear, seed)
    on_step("passages")
    passages = fit_passages(log, config.passages, seed=seed)
    on_step("covisitation")
    covisitation = fit_covisitation(log, config.covisitation)
    on_step("svd")
    svd = fit_svd(log, config.svd, seed=seed)
    on_step("tags")
    tags = fit_tags(items, config.tags)
    on_step("popularity")
    popularity = fit_popularity_source(log, config.popularity)
    return Sources(sequential, bilinear, passages, covisitation, svd, tags, popularity)


def _unless_left(on_step: Callable[[str], None]) -> Callable[[str], None]:
    """Return what ends the fit between two sources, if nobody wants it any more, before it tells the next."""

    def tell(name: str) -> None:
        end_if_left()
        on_step(name)

    return tell


def name_candidates(
    sources: Sources, users: UserBatch, n: int, quotas: Quotas, blocked: NDArray[np.bool_]
) -> Candidates:
    """Ask every source and blend what they name into ``n`` candidates per user.

    Where the sources name too few (nobody knows a user without a history), popular items fill the rest.

    Args:
        sources: the sources.
        users: who asks.
        n: candidates per user; the quotas are stretched to it.
        quotas: share of each source; one without a share is not asked.
        blocked: shape (users, items), True where the item must not be named.
    """
    shares = quotas.as_tuple()
    none = np.zeros((len(users), 0), dtype=np.int32)
    named = [
        getattr(sources, name).search(users, math.ceil(2 * share * n / sum(shares)), blocked).item_rows
        if share
        else none
        for name, share in zip(SOURCE_NAMES, shares, strict=True)
    ]
    candidates = blend(named, shares, n)
    short = np.flatnonzero(candidates.item_rows[:, -1] == NO_ITEM)
    if short.size:
        popular = sources.popularity.search(users.take(short), n, blocked[short]).item_rows
        others = [rows[short] for rows in named[:_POPULARITY]]
        filled = blend([*others, popular, *(rows[short] for rows in named[_POPULARITY + 1 :])], shares, n)
        candidates.item_rows[short], candidates.source_ranks[short] = filled.item_rows, filled.source_ranks
    return candidates
