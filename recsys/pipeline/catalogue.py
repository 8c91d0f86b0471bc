"""The catalogue of a bundle: ids and rows, what is popular, what a filter allows, how items are called."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.data.log import Vocabulary
from recsys.pipeline.filters import Filters
from recsys.registry.bundle import BundleReader, BundleWriter

_ITEMS = "catalogue/items.parquet"

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Catalogue:
    """Everything about items that needs no model: a router can hold it and answer alone."""

    frame: pl.DataFrame  # schema recsys.data.schema.ITEMS, one row per item row
    popular_rows: NDArray[np.int32]  # shape (available items,), the most popular first
    contexts: tuple[str, ...]  # names of the context rows 1, 2, ...
    vocabulary: Vocabulary | None = None  # of the frame, where somebody has it already
    n_learned: int | None = None
    """Items from this row on came after the bundle was made; None: there are none."""

    @cached_property
    def items(self) -> Vocabulary:
        """Item ids against rows."""
        return self.vocabulary or Vocabulary(self.frame["item_id"].to_list())

    @cached_property
    def _context_rows(self) -> dict[str, int]:
        return {context: row for row, context in enumerate(self.contexts, start=1)}

    @property
    def n_items(self) -> int:
        """How many items there are, available or not."""
        return self.frame.height

    @cached_property
    def available(self) -> Mask:
        """Which items may be shown, shape (items,)."""
        return self.frame["available"].to_numpy().astype(np.bool_)

    def context_row(self, context: str | None) -> int:
        """Return the row of a context, 0 when it is unknown or None."""
        return 0 if context is None else self._context_rows.get(context, 0)

    def describe(self, item_row: int) -> dict[str, Any]:
        """Return one item as the catalogue has it, ready for JSON."""
        return self.frame.row(item_row, named=True)

    def allowed(self, filters: Filters) -> Mask:
        """Return which items a filter lets through, shape (items,)."""
        mask = self.available.copy()
        for condition in _conditions(filters):
            mask &= self.frame.select(condition.fill_null(value=False)).to_series().to_numpy()
        return mask

    def save(self, writer: BundleWriter) -> None:
        """Write under ``catalogue/``."""
        self.frame.write_parquet(writer.path(_ITEMS))
        writer.array("catalogue/popular_rows", self.popular_rows)
        writer.json("catalogue/contexts", list(self.contexts))

    @classmethod
    def load(cls, reader: BundleReader) -> Self:
        """Read back what :meth:`save` wrote."""
        return cls(
            pl.read_parquet(reader.path(_ITEMS)),
            reader.array("catalogue/popular_rows"),
            tuple(reader.json("catalogue/contexts")),
        )


def _conditions(filters: Filters) -> Sequence[pl.Expr]:
    tags = pl.col("tags")
    table: Sequence[tuple[object, Callable[[Any], pl.Expr]]] = (
        (filters.tags_any, lambda v: tags.list.eval(pl.element().is_in(list(v))).list.any()),
        (filters.tags_none, lambda v: ~tags.list.eval(pl.element().is_in(list(v))).list.any()),
        (filters.creator_ids, lambda v: pl.col("creator_id").is_in(list(v))),
        (filters.min_duration_s, lambda v: pl.col("duration_s") >= v),
        (filters.max_duration_s, lambda v: pl.col("duration_s") <= v),
        (filters.published_after_s, lambda v: pl.col("published_s") > v),
        (filters.published_before_s, lambda v: pl.col("published_s") < v),
    )
    return [condition(value) for value, condition in table if value is not None]
