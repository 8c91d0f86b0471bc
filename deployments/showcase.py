"""What the router holds of a bundle: enough to put lists together, and to answer when all else is down."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from deployments.cursor import Hashes, item_hashes
from recsys.pipeline.catalogue import Catalogue
from recsys.pipeline.filters import Filters
from recsys.pipeline.stages import RerankingStage
from recsys.recall.blend import best_source
from recsys.recall.sources import SOURCE_NAMES, Quotas
from recsys.registry.bundle import BundleReader

Rows = NDArray[np.int32]


@dataclass(frozen=True)
class Showcase:
    """The router's part of a bundle."""

    bundle: str
    catalogue: Catalogue
    reranking: RerankingStage
    n_candidates: int
    source_quotas: tuple[int, ...]
    hashes: Hashes  # shape (items,): what a cursor keeps of each item
    sorted_hashes: Hashes  # the same, rising
    hash_order: NDArray[np.intp]  # shape (items,): the rows they belong to

    @classmethod
    def load(cls, reader: BundleReader) -> Self:
        """Read it from a bundle."""
        catalogue = Catalogue.load(reader)
        hashes = item_hashes(catalogue.items.ids)
        order = np.argsort(hashes, kind="stable")
        return cls(
            reader.name,
            catalogue,
            RerankingStage.load(reader),
            int(reader.json("pipeline")["n_candidates"]),
            Quotas.model_validate(reader.json("recall/quotas")).as_tuple(),
            hashes,
            hashes[order],
            order,
        )

    def rows_of_hashes(self, shown: Hashes) -> Rows:
        """Return the rows of items that a cursor remembers; items of other bundles are not among them."""
        starts = np.searchsorted(self.sorted_hashes, shown, side="left").tolist()
        stops = np.searchsorted(self.sorted_hashes, shown, side="right").tolist()
        places = [place for start, stop in zip(starts, stops, strict=True) for place in range(start, stop)]
        return self.hash_order[places].astype(np.int32)

    def popular(self, n: int, hidden: Rows, filters: Filters | None) -> Rows:
        """Return up to ``n`` of the most popular items that may be shown, the most popular first.

        Args:
            n: how many.
            hidden: item rows that must not be among them.
            filters: what they must be like.
        """
        rows = self.catalogue.popular_rows
        if filters is not None:
            rows = rows[self.catalogue.allowed(filters)[rows]]
        head = rows[: n + len(hidden)]  # enough, even if all that is hidden is popular
        kept: Rows = head[~np.isin(head, hidden)][:n]
        return kept

    def sources(self, source_ranks: NDArray[np.int16]) -> list[list[str]]:
        """Return the source that put each item highest; shape (users, items, sources) -> lists of names."""
        names: list[list[str]] = best_source(source_ranks, self.source_quotas, SOURCE_NAMES).tolist()
        return names
