"""Rows that stand in a file twice."""

import polars as pl

from recsys.data.badrows import ROW, BadRowCollector


def without_repeated_ids(items: pl.DataFrame, file: str, collector: BadRowCollector) -> pl.DataFrame:
    """Keep the first row of each ``item_id``; the others are bad rows, for nobody can say which is right."""
    repeated = ~items["item_id"].is_first_distinct()
    if repeated.any():
        collector.bad(
            file,
            items.filter(repeated).select(
                ROW,
                pl.lit("item_id").alias("column"),
                pl.col("item_id").alias("value"),
                pl.lit("stands in an earlier row").alias("reason"),
            ),
        )
    return items.filter(~repeated)


def without_exact_repeats(
    rows: pl.DataFrame, key: tuple[str, ...], file: str, collector: BadRowCollector
) -> pl.DataFrame:
    """Keep the first row of each ``key``; the others are counted as left out."""
    first = rows.select(pl.struct(key).is_first_distinct().alias("first"))["first"]
    reason = "the same as an earlier row"
    collector.left_out(file, ", ".join(key), reason, int((~first).sum()))
    return rows.filter(first)
