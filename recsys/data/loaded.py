"""What every loader returns, and how it is put together."""

from dataclasses import dataclass

import polars as pl

from recsys.data.badrows import BadRowCollector, BadRowReport, OnBadRow
from recsys.data.schema import INTERACTIONS, ITEMS, Dataset


@dataclass(frozen=True, slots=True)
class Loaded:
    """A data set and the account of the rows it was read from."""

    dataset: Dataset
    report: BadRowReport


def finish(
    name: str,
    interactions: pl.DataFrame,
    items: pl.DataFrame,
    collector: BadRowCollector,
    on_bad_row: OnBadRow,
) -> Loaded:
    """Bring both tables to their schemas: order of columns, types, and nulls for columns that are absent.

    Raises:
        BadRowsError: rows were bad and ``on_bad_row`` is ``fail``.
    """
    report = collector.report()
    if on_bad_row is OnBadRow.FAIL:
        report.raise_if_bad()
    tables = (_conform(interactions, INTERACTIONS), _conform(items, ITEMS))
    filled = tables[1].with_columns(
        pl.col("tags").fill_null(pl.lit([], dtype=pl.List(pl.String()))),
        pl.col("available").fill_null(value=True),
    )
    return Loaded(Dataset(name, tables[0], filled), report)


def items_met(interactions: pl.DataFrame) -> pl.DataFrame:
    """Return a catalogue of nothing but the ids that interactions speak of, in order of first meeting."""
    return interactions.select(pl.col("item_id").unique(maintain_order=True))


def _conform(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    return frame.select(
        pl.col(name).cast(dtype) if name in frame.columns else pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in schema.items()
    )
