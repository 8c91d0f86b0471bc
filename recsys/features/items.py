"""The catalogue as arrays: what is known of every item before anybody has touched it."""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.clock import SECONDS_PER_YEAR
from recsys.registry.bundle import BundleReader, BundleWriter

_FOLDER = "items"


@dataclass(frozen=True)
class ItemTable:
    """Row numbers are those of the item vocabulary."""

    tag_vectors: NDArray[np.float32]  # shape (items, tags), rows of length 1, or all 0 without tags
    creator_rows: NDArray[np.int32]  # shape (items,), -1 = unknown
    published_s: NDArray[np.float64]  # shape (items,), Unix time, nan = unknown
    duration_s: NDArray[np.float32]  # shape (items,), nan = unknown
    available: NDArray[np.bool_]  # shape (items,)

    @property
    def n_items(self) -> int:
        """How many items there are."""
        return len(self.creator_rows)

    @cached_property
    def published_years(self) -> NDArray[np.float32]:
        """Years from 1970 to the publication, nan = unknown, shape (items,)."""
        return (self.published_s / SECONDS_PER_YEAR).astype(np.float32)

    @cached_property
    def log_durations(self) -> NDArray[np.float32]:
        """log(1 + seconds), nan = unknown, shape (items,)."""
        return np.asarray(np.log1p(self.duration_s), dtype=np.float32)

    def save(self, writer: BundleWriter) -> None:
        """Write the arrays under ``items/``."""
        for field in fields(self):
            writer.array(f"{_FOLDER}/{field.name}", getattr(self, field.name))

    @classmethod
    def load(cls, reader: BundleReader) -> Self:
        """Read the arrays back, memory-mapped."""
        return cls(*(reader.array(f"{_FOLDER}/{field.name}") for field in fields(cls)))


def fit_items(items: pl.DataFrame, *, max_tags: int = 128) -> ItemTable:
    """Turn the catalogue into arrays.

    Args:
        items: schema :data:`recsys.data.schema.ITEMS`; its order gives the rows.
        max_tags: only the most frequent tags count.

    Returns:
        Tag vectors weighted by inverse document frequency (a tag that everything has says nothing) and
        scaled to length 1, so that their inner product is a cosine.
    """
    creators = (items["creator_id"].rank("dense").cast(pl.Int32()) - 1).fill_null(-1)  # in order of their ids
    return ItemTable(
        TagWeights.of(items, max_tags).vectors(items),
        creators.to_numpy().astype(np.int32),
        items["published_s"].fill_null(float("nan")).to_numpy().astype(np.float64),
        items["duration_s"].fill_null(float("nan")).to_numpy().astype(np.float32),
        items["available"].fill_null(value=True).to_numpy().astype(np.bool_),
    )


@dataclass(frozen=True, slots=True)
class TagWeights:
    """Which tags count, and how much: the columns of the tag vectors of one catalogue."""

    weights: pl.DataFrame  # tag, column, weight (inverse document frequency)

    @classmethod
    def of(cls, items: pl.DataFrame, max_tags: int) -> Self:
        """Weigh the tags of a catalogue.

        Args:
            items: schema :data:`recsys.data.schema.ITEMS`.
            max_tags: only the most frequent tags count.
        """
        counts = _tags(items).group_by("tag").len().sort(["len", "tag"], descending=[True, False])
        counts = counts.head(max_tags)
        rarity = np.log((1 + items.height) / (1 + counts["len"].to_numpy())) + 0.1
        columns = pl.int_range(pl.len(), dtype=pl.Int64()).alias("column")
        return cls(counts.select("tag", columns, weight=pl.Series(rarity, dtype=pl.Float64())))

    def vectors(self, items: pl.DataFrame) -> NDArray[np.float32]:
        """Return the tag vectors of items, shape (items, max(1, tags)); tags that do not count are left out.

        Args:
            items: ``tags`` of each; they need not be those that were weighed.
        """
        pairs = _tags(items).join(self.weights, on="tag", how="inner")
        vectors = np.zeros((items.height, max(1, self.weights.height)), dtype=np.float32)
        rows, columns = pairs["row"].to_numpy(), pairs["column"].to_numpy()
        vectors[rows, columns] = pairs["weight"].to_numpy().astype(np.float32)
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        return (vectors / np.where(length > 0, length, 1.0)).astype(np.float32)


def _tags(items: pl.DataFrame) -> pl.DataFrame:
    """Return row and tag of every pair of the two."""
    return (
        items.select(pl.int_range(pl.len(), dtype=pl.Int64()).alias("row"), tag=pl.col("tags"))
        .explode("tag")
        .drop_nulls("tag")
        .unique(maintain_order=True)
    )
