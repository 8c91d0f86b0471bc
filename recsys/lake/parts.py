"""Files of a table read one by one, for those who cannot hold all of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import polars as pl

from recsys.core.errors import DataFormatError
from recsys.lake.place import Place


def read_part(
    place: Place, file: str, columns: Sequence[str], schema: pl.Schema, rows: slice
) -> pl.DataFrame:
    """Return some rows of one file; a column that an older program left out is null.

    Args:
        place: of the lake.
        file: address of a Parquet file of the table.
        columns: names.
        schema: of the table.
        rows: which (no step).

    Raises:
        DataFormatError: the file is gone or cannot be read.
        UnavailableError: the bucket cannot be reached or refuses.
    """
    with _reading(place, file):
        scanned = _scan(place, [file])
        there = scanned.collect_schema().names()
        wanted = [
            pl.col(name).cast(schema[name]) if name in there else pl.lit(None, schema[name]).alias(name)
            for name in columns
        ]
        return scanned.slice(rows.start, rows.stop - rows.start).select(wanted).collect()


def read_columns(place: Place, files: Sequence[str], columns: Sequence[str]) -> pl.DataFrame:
    """Return columns of files; raises as :func:`read_part` does."""
    with _reading(place, files[0]):
        return _scan(place, files).select(columns).collect()


def items_in(place: Place, files: Sequence[str]) -> pl.DataFrame:
    """Return the different ``item_id`` of files of events, never holding more than those."""
    if not files:
        return pl.DataFrame(schema={"item_id": pl.String()})
    with _reading(place, files[0]):
        return _scan(place, files).select("item_id").drop_nulls().unique().collect(engine="streaming")


def _scan(place: Place, files: Sequence[str]) -> pl.LazyFrame:
    return pl.scan_parquet(
        list(files),
        hive_partitioning=False,
        glob=False,
        missing_columns="insert",
        extra_columns="ignore",
        **place.for_polars,
    )


@contextmanager
def _reading(place: Place, file: str) -> Iterator[None]:
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        place.has("")  # a bucket that is away says so itself
        found = str(error).strip().partition("\n")[0]
        raise DataFormatError(
            file, "a file of the lake (vacuumed, or somebody was erased?)", found
        ) from error
