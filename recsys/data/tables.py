"""Raw tables out of files: CSV with a header, plain separated lines, and Parquet, with row numbers.

CSV is read by Polars as text. Lines it would fill up or cut off are found and reported; only a file that
Polars refuses, or whose lines are not records, is read again line by line.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import polars as pl
from polars.exceptions import ComputeError, NoDataError, PolarsError

from recsys.core.errors import DataFormatError
from recsys.data.badrows import ROW, BadRowCollector
from recsys.data.csv_records import RAGGED, csv_records

_CHUNK_BYTES = 1 << 24
_LONGEST_HEADER_BYTES = 1 << 20
_BLANK = "blank line"

CSV_SUFFIXES = {".csv": ",", ".tsv": "\t"}
PARQUET_SUFFIXES = frozenset({".parquet", ".pq"})


def column_names(path: Path, separator: str | None = None) -> list[str]:
    """Return the names of the columns of a CSV or Parquet file.

    Raises:
        DataFormatError: the file is missing, empty, or neither CSV nor Parquet.
    """
    if not path.is_file():
        raise DataFormatError(path, "a CSV or Parquet file", "a folder" if path.is_dir() else "nothing there")
    try:
        if path.suffix in PARQUET_SUFFIXES:
            return list(pl.read_parquet_schema(path))
        with path.open("rb") as file:
            line = file.readline(_LONGEST_HEADER_BYTES).decode("utf-8-sig")
        names = next(csv.reader([line.rstrip("\r\n")], delimiter=_separator(path, separator)), [])
    except (PolarsError, OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataFormatError(path, "a readable table", _one_line(error)) from error
    if not names:
        raise DataFormatError(path, "a header line with column names", "an empty first line")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataFormatError(path, "a header line with each name once", f"the name {twice!r} more than once")
    return names


def require_columns(path: Path, found: Sequence[str], expected: Sequence[str]) -> None:
    """Refuse a file that lacks a column.

    Raises:
        DataFormatError: with the columns that are missing and those that came.
    """
    missing = [name for name in expected if name not in found]
    if missing:
        came = ", ".join(found[:40]) + (", ..." if len(found) > 40 else "")
        raise DataFormatError(path, f"the column(s) {', '.join(missing)}", f"the columns {came}")


def read_table(
    path: Path,
    wanted: Sequence[str],
    collector: BadRowCollector,
    *,
    optional: Sequence[str] = (),
    separator: str | None = None,
    rows: slice | None = None,
) -> pl.DataFrame:
    """Read columns of a CSV or Parquet file.

    Args:
        path: ``.parquet`` or ``.pq`` for Parquet, everything else is CSV.
        wanted: columns that must be there.
        collector: lines that are no records.
        optional: columns to read when there are such.
        separator: of CSV; by default a tab for ``.tsv`` and a comma for the rest.
        rows: of a Parquet file, which are read (no step); by default all.

    Returns:
        :data:`ROW` and the columns: text from CSV (empty is null), the file's own types from Parquet.

    Raises:
        DataFormatError: the file is missing or unreadable, or a wanted column is.
    """
    names = column_names(path, separator)
    require_columns(path, names, wanted)
    columns = list(dict.fromkeys([*wanted, *(name for name in optional if name in names)]))
    if path.suffix in PARQUET_SUFFIXES:
        try:
            scanned = pl.scan_parquet(path, row_index_name=ROW, row_index_offset=1, glob=False)
            if rows is not None:
                scanned = scanned.slice(rows.start, rows.stop - rows.start)
            frame = scanned.select(ROW, *columns).collect()
        except (PolarsError, OSError) as error:
            raise DataFormatError(path, "a readable Parquet file", _one_line(error)) from error
        collector.read(frame.height)
        return frame
    return _read_csv(path, names, columns, collector, _separator(path, separator))


def read_lines(
    path: Path, names: Sequence[str], separator: str, collector: BadRowCollector, *, encoding: str = "utf-8"
) -> pl.DataFrame:
    """Read a file without header or quotes, one record per line, separated by a word such as ``::``.

    Args:
        path: the file.
        names: of the columns.
        separator: one character or more.
        collector: lines with another number of values.
        encoding: latin-1 for the older MovieLens files.

    Returns:
        :data:`ROW` and ``names``, all text; empty is null.

    Raises:
        DataFormatError: the file is not in this encoding.
    """
    try:
        content = path.read_bytes().decode(encoding)
    except UnicodeDecodeError as error:
        raise DataFormatError(path, f"{encoding} text", _one_line(error)) from error
    lines = (
        pl.DataFrame({"line": [content.removesuffix("\n")]})
        .select(pl.col("line").str.split("\n").explode().str.strip_suffix("\r"))
        .with_row_index(ROW, offset=1)
    )
    del content
    if lines.height == 1 and lines["line"][0] == "":
        raise DataFormatError(path, "lines of values", "an empty file")
    collector.read(lines.height)
    lines = _without_blank(lines, path, collector)
    split = lines.with_columns(pl.col("line").str.split(separator).alias("values"))
    ragged = split["values"].list.len() != len(names)
    if ragged.any():
        reason = f"has another number of values than {len(names)}"
        collector.bad(path.name, _whole_lines(split.filter(ragged), reason))
    return split.filter(~ragged).select(
        ROW, *(pl.col("values").list.get(i).replace("", None).alias(name) for i, name in enumerate(names))
    )


def _read_csv(
    path: Path, names: list[str], columns: list[str], collector: BadRowCollector, separator: str
) -> pl.DataFrame:
    try:
        frame = pl.read_csv(
            path,
            columns=columns,
            separator=separator,
            infer_schema=False,
            row_index_name=ROW,
            row_index_offset=2,
        ).select(ROW, *columns)
    except (ComputeError, NoDataError):
        return _read_csv_slowly(path, names, columns, collector, separator)
    if frame.height != _count_lines(path) - 1:  # values over several lines, or a stray quote
        return _read_csv_slowly(path, names, columns, collector, separator)
    collector.read(frame.height)
    ragged = _ragged_lines(path, len(names), separator)
    if ragged.is_empty():
        return frame
    collector.bad(path.name, _whole_lines(_without_blank(ragged, path, collector), RAGGED))
    return frame.join(ragged.select(ROW), on=ROW, how="anti", maintain_order="left")


def _ragged_lines(path: Path, n_columns: int, separator: str) -> pl.DataFrame:
    """Return the lines with too few or too many values, which Polars fills up or cuts off in silence."""
    bare = pl.col("line").str.replace_all('"[^"]*"', "")
    unquoted = pl.when(pl.col("line").str.contains('"', literal=True)).then(bare).otherwise(pl.col("line"))
    return (
        pl.scan_lines(path, row_index_name=ROW, row_index_offset=1)
        .filter(unquoted.str.count_matches(separator, literal=True) != n_columns - 1)
        .filter(pl.col(ROW) > 1)
        .collect(engine="streaming")
    )


def _read_csv_slowly(
    path: Path, names: list[str], columns: list[str], collector: BadRowCollector, separator: str
) -> pl.DataFrame:
    places = [names.index(name) for name in columns]
    values: list[list[str]] = []
    rows: list[int] = []
    bad: list[tuple[int, str, str]] = []
    for row, line, record, reason in csv_records(path, separator, len(names)):
        if row == 1:
            continue
        if reason:
            bad.append((row, line, reason))
        else:
            rows.append(row)
            values.append([record[place] for place in places])
    collector.read(len(rows) + len(bad))
    lines = pl.DataFrame(
        bad, schema={ROW: pl.UInt32(), "line": pl.String(), "reason": pl.String()}, orient="row"
    )
    lines = _without_blank(lines, path, collector)
    if not lines.is_empty():
        collector.bad(
            path.name, lines.select(ROW, pl.lit("").alias("column"), pl.col("line").alias("value"), "reason")
        )
    frame = pl.DataFrame(values, schema=dict.fromkeys(columns, pl.String()), orient="row")
    return frame.select(pl.Series(ROW, rows, dtype=pl.UInt32()), pl.all().replace("", None))


def _without_blank(lines: pl.DataFrame, path: Path, collector: BadRowCollector) -> pl.DataFrame:
    blank = lines["line"].str.strip_chars() == ""
    collector.left_out(path.name, "", _BLANK, int(blank.sum()))
    return lines.filter(~blank)


def _whole_lines(lines: pl.DataFrame, reason: str) -> pl.DataFrame:
    return lines.select(
        ROW, pl.lit("").alias("column"), pl.col("line").alias("value"), pl.lit(reason).alias("reason")
    )


def _count_lines(path: Path) -> int:
    n, last = 0, b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            n += chunk.count(b"\n")
            last = chunk[-1:]
    return n + (last not in (b"", b"\n"))


def _separator(path: Path, given: str | None) -> str:
    return given or CSV_SUFFIXES.get(path.suffix, ",")


def _one_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]
