"""What must be known of items to describe events with them: how popular they were, tags and age."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

RANKS: Final = ("top 1%", "1-5%", "5-20%", "20-50%", "lower half", "never chosen")
"""Where an item stood among the items that anybody had chosen, the most popular first."""
UNKNOWN_RANK: Final = "not in the catalogue"
_ENDS = (0.01, 0.05, 0.2, 0.5, 1.0)
_NEVER = RANKS.index("never chosen")


def ranks_of(items: pl.DataFrame, positive: pl.DataFrame) -> NDArray[np.uint8]:
    """Return the place in :data:`RANKS` of each item, shape (items,).

    Args:
        items: with ``item_id``.
        positive: interactions that say that users chose an item, with ``item_id``.
    """
    counted = positive.group_by("item_id").len("n")
    n = items.select("item_id").join(counted, on="item_id", how="left", maintain_order="left")["n"]
    counts = n.fill_null(0).to_numpy().astype(np.int64)  # unsigned numbers have no negatives to sort by
    order = np.argsort(-counts, kind="stable")  # ties in the catalogue's order, so runs agree
    chosen = int((counts > 0).sum())
    shares = (np.arange(len(counts)) + 1) / max(1, chosen)
    ranks = np.full(len(counts), _NEVER, dtype=np.uint8)
    ranks[order[:chosen]] = np.searchsorted(_ENDS, shares[:chosen], side="left")
    return ranks


def item_facts(items: pl.DataFrame, ranks: NDArray[np.uint8]) -> pl.DataFrame:
    """Return ``item_id``, ``rank``, ``tags`` and ``published_s``, one row per item.

    Args:
        items: schema :data:`recsys.data.schema.ITEMS`.
        ranks: what :func:`ranks_of` said, in the same order.
    """
    named: Sequence[str] = [RANKS[rank] for rank in ranks.tolist()]
    return items.select("item_id", pl.Series("rank", named, dtype=pl.String()), "tags", "published_s")
