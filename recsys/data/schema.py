"""The two tables every part speaks of: interactions and the catalogue.

A data set on disk is a folder with ``interactions.parquet`` (or ``interactions/*.parquet``),
``items.parquet`` and ``dataset.json``; loaders turn every other layout into a :class:`Dataset`.
"""

from dataclasses import dataclass
from enum import StrEnum

import polars as pl


class Kind(StrEnum):
    """How a user met an item. ``impression``: it was shown and nothing followed."""

    WATCH = "watch"
    CLICK = "click"
    LIKE = "like"
    DISLIKE = "dislike"
    SKIP = "skip"
    SHARE = "share"
    RATING = "rating"
    IMPRESSION = "impression"


POSITIVE_KINDS = frozenset({Kind.WATCH, Kind.CLICK, Kind.LIKE, Kind.SHARE, Kind.RATING})
"""Kinds that say the user chose the item. Every rating counts, whatever its stars: the protocol of
the published MovieLens figures (docs/decisions)."""

KIND_DTYPE = pl.Enum([kind.value for kind in Kind])

INTERACTIONS = pl.Schema(
    {
        "user_id": pl.String(),
        "item_id": pl.String(),
        "kind": KIND_DTYPE,
        "time_s": pl.Float64(),  # Unix time, UTC
        "value": pl.Float32(),  # stars, or the share of the video that was watched; null when unknown
        "context": pl.String(),  # where it was shown (a surface, a country); null when unknown
    }
)
"""Columns of the interactions; user_id, item_id, kind and time_s are never null."""

ITEMS = pl.Schema(
    {
        "item_id": pl.String(),
        "title": pl.String(),
        "tags": pl.List(pl.String()),
        "creator_id": pl.String(),
        "duration_s": pl.Float32(),
        "published_s": pl.Float64(),
        "cost": pl.Float32(),  # per play, in the owner's currency
        "available": pl.Boolean(),
    }
)
"""Columns of the catalogue; item_id, tags (may be empty) and available are never null."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Interactions and the catalogue they speak of.

    ``interactions`` has the schema :data:`INTERACTIONS`, in the order of the source (ties in time keep it);
    ``items`` has :data:`ITEMS`, one row per item id.
    """

    name: str
    interactions: pl.DataFrame
    items: pl.DataFrame
