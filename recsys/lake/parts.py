"""Files of a table read one by one, for those who cannot hold all of it."""

from collections.abc import Sequence

import polars as pl

from recsys.core.errors import DataFormatError


def read_part(path: str, columns: Sequence[str], schema: pl.Schema, rows: slice) -> pl.DataFrame:
    """Return some rows of one file; a column that an older program left out is null.

    Args:
        path: of a Parquet file of the table.
        columns: names.
        schema: of the table.
        rows: which (no step).

    Raises:
        DataFormatError: the file is gone or cannot be read.
    """
    try:
        scanned = pl.scan_parquet(path, hive_partitioning=False, glob=False)
        there = scanned.collect_schema().names()
        wanted = [
            pl.col(name).cast(schema[name]) if name in there else pl.lit(None, schema[name]).alias(name)
            for name in columns
        ]
        return scanned.slice(rows.start, rows.stop - rows.start).select(wanted).collect()
    except (OSError, pl.exceptions.PolarsError) as error:
        found = str(error).strip().partition("\n")[0]
        raise DataFormatError(
            path, "a file of the lake (vacuumed, or somebody was erased?)", found
        ) from error


def items_in(paths: Sequence[str]) -> pl.DataFrame:
    """Return the different ``item_id`` of files of events, never holding more than those."""
    if not paths:
        return pl.DataFrame(schema={"item_id": pl.String()})
    scanned = pl.scan_parquet(list(paths), hive_partitioning=False, glob=False, missing_columns="insert")
    return scanned.select("item_id").drop_nulls().unique().collect(engine="streaming")
