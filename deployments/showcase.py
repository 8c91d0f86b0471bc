"""What the router holds of a bundle: enough to put lists together, and to answer when all else is down."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from deployments.cursor import HASH_BYTES, Hashes, item_hashes, pack
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
    packed_hashes: bytes  # what a cursor keeps of each item, one after another
    sorted_hashes: Hashes  # shape (items,): the same as numbers, rising
    hash_order: NDArray[np.intp]  # shape (items,): the rows they belong to
    revision: int = 0  # version of the catalogue overlay that it was made by; 0: as the bundle has it

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
            pack(hashes),
            hashes[order],
            order,
        )

    def packed_hash(self, item_row: int) -> bytes:
        """Return what a cursor keeps of an item."""
        return self.packed_hashes[item_row * HASH_BYTES : (item_row + 1) * HASH_BYTES]

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
        numbers = best_source(source_ranks, self.source_quotas).tolist()
        return [[SOURCE_NAMES[number] for number in of_user] for of_user in numbers]
