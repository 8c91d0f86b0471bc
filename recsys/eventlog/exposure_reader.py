"""Reading exposures: lazily, by time, and without those who asked to be forgotten."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from recsys.eventlog.exposure import SCHEMA
from recsys.eventlog.exposure_files import exposure_files, put_exposures

FOR_EVER = float("inf")
_LACKED = pl.col("experiments", "teams", "choices", "chances").fill_null([])  # as earlier versions wrote


def scan_exposures(
    folder: Path,
    *,
    since_s: float = 0.0,
    until_s: float = FOR_EVER,
    erased_at_s: Mapping[str, float] | None = None,
) -> pl.LazyFrame:
    """Return the answers of a time range, columns of :data:`SCHEMA`; files outside of it are not opened.

    Collect it soon: retention may remove a file in between.

    Args:
        folder: where the days are; may be missing, as before the first answer.
        since_s: Unix time, included.
        until_s: Unix time, not included.
        erased_at_s: pseudonym -> Unix time up to which nothing of that user may be used.
    """
    files = [file.path for file in exposure_files(folder, since_s=since_s) if file.first_s < until_s]
    if not files:
        return pl.LazyFrame(schema=SCHEMA)
    time_s = pl.col("served_at_s")
    wanted = (time_s >= since_s) & (time_s < until_s) & ~_erased(erased_at_s or {})
    return scan_files(files).filter(wanted)


def scan_files(files: Sequence[Path]) -> pl.LazyFrame:
    """Return the answers of these files; a column that a file of an earlier version lacks is null or empty.

    Args:
        files: at least one.
    """
    found = pl.scan_parquet(list(files), schema=SCHEMA, missing_columns="insert", extra_columns="ignore")
    return found.with_columns(_LACKED)


def forget_exposures(folder: Path, erased_at_s: Mapping[str, float]) -> int:
    """Remove the answers of users who asked to be forgotten from the files; return how many there were.

    A file is replaced whole or not at all, so it may be done again at any time, while routers write too: what
    they still hold in memory comes into a file within ``ExposureConfig.max_age_s``, so once more after that.

    Args:
        folder: where the days are.
        erased_at_s: pseudonym -> Unix time up to which everything of that user goes.

    Raises:
        OSError: a file cannot be replaced; those before it are done.
    """
    n_forgotten = 0
    erased = _erased(erased_at_s)
    for file in exposure_files(folder):
        concerned = pl.scan_parquet(file.path).filter(erased).select(pl.len()).collect().item()
        if not concerned:
            continue
        kept = pl.read_parquet(file.path).filter(~erased)
        if kept.height:
            put_exposures(file.path, kept)
        else:
            file.path.unlink()
        n_forgotten += int(concerned)
    return n_forgotten


def _erased(erased_at_s: Mapping[str, float]) -> pl.Expr:
    """Return the condition under which an answer must be forgotten; false for those made for nobody."""
    if not erased_at_s:
        return pl.lit(value=False)
    until_s = pl.col("user_pseudonym").replace_strict(
        list(erased_at_s), list(erased_at_s.values()), default=None, return_dtype=pl.Float64
    )
    return (pl.col("served_at_s") <= until_s).fill_null(value=False)
