"""Sequences without times, the layout of SASRec's published files: ``user item`` per line.

White space separates the two; a user's lines stand in the order in which things happened, and lines of other
users may stand between them.

Times are made up: a user's first line counts as 1970-01-01 00:00 UTC, the second as one day later, and so on.
What is measured in days is then measured in lines: a half-life of 14 days is one of 14 of the user's lines,
and "popular at this moment" is popular among the first lines of all users. That keeps what a position may
tell and no more:

- Counted from the *start* of each user, the time of a question says how many lines the user has so far, which
  is known when the question is asked. Counted back from the end it would say how many are still to come.
- A whole day per line leaves no hour of the day, and the distance between two lines says nothing.

So leave-last-out means what it should. To split such data at one moment for everybody means nothing: the
moment would be a number of lines.

Source of the layout: Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018.
"""

from pathlib import Path

import polars as pl

from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.errors import DataFormatError
from recsys.data.badrows import ROW, BadRowCollector, OnBadRow
from recsys.data.loaded import Loaded, finish, items_met
from recsys.data.schema import KIND_DTYPE, Kind

STEP_S = SECONDS_PER_DAY
"""Made-up time between two lines of a user."""

_NO_TEXT = r"[\x00-\x08\x0e-\x1f\x7f\x{fffd}]"  # bytes that are no UTF-8 become U+FFFD


def load(
    interactions: Path,
    *,
    on_bad_row: OnBadRow,
    now_s: float,
    kind: Kind = Kind.WATCH,
    name: str | None = None,
) -> Loaded:
    """Read sequences; the catalogue is the items that were met.

    Args:
        interactions: the file.
        on_bad_row: raise or go on.
        now_s: Unix time; a user's lines whose made-up times are later are bad rows (20,000 lines reach 2024).
        kind: what every line is.
        name: of the data set; by default that of the file.

    Raises:
        DataFormatError: the file is missing, unreadable or empty.
        BadRowsError: rows were bad and ``on_bad_row`` is ``fail``.
    """
    collector = BadRowCollector()
    pairs = _pairs(_lines(interactions), interactions.name, collector)
    met = _within_today(_with_made_up_times(pairs), now_s, interactions.name, collector)
    collector.note(
        f"{interactions.name} has no times: each line of a user counts as one day after the one before, from"
        " 1970 on; split it by leave-last-out alone"
    )
    collector.note(f"{interactions.name} has no column for the kind: every row counts as {kind.value}")
    met = met.with_columns(pl.lit(kind.value, dtype=KIND_DTYPE).alias("kind"))
    return finish(name or interactions.stem, met, items_met(met), collector, on_bad_row)


def _lines(path: Path) -> pl.DataFrame:
    """Return :data:`ROW` and ``line``, without white space around it, one row per line."""
    if not path.is_file():
        raise DataFormatError(path, "a file of lines", "a folder" if path.is_dir() else "nothing there")
    try:
        content = path.read_bytes().decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise DataFormatError(path, "a readable file", error.strerror or "an error") from error
    if not content.strip():
        raise DataFormatError(path, "lines of a user and an item", "an empty file")
    lines = pl.DataFrame({"line": [content.removesuffix("\n")]})
    return lines.select(pl.col("line").str.split("\n").explode().str.strip_chars()).with_row_index(
        ROW, offset=1
    )


def _pairs(lines: pl.DataFrame, file: str, collector: BadRowCollector) -> pl.DataFrame:
    """Return ``user_id`` and ``item_id`` of the lines that have both and nothing else."""
    collector.read(lines.height)
    blank = lines["line"] == ""
    collector.left_out(file, "", "blank line", int(blank.sum()))
    words = pl.col("line").str.replace_all(r"\s+", " ").str.split(" ")
    split = lines.filter(~blank).with_columns(words.alias("words"))
    n_words = pl.col("words").list.len()
    reason = (
        pl.when(pl.col("line").str.contains(_NO_TEXT))
        .then(pl.lit("is not UTF-8 text"))
        .when(n_words < 2)
        .then(pl.lit("has one value; expected a user and an item"))
        .when(n_words > 2)
        .then(pl.lit("has more values than a user and an item"))
    )
    judged = split.with_columns(reason.alias("reason"))
    _report(judged.filter(pl.col("reason").is_not_null()), file, collector)
    return judged.filter(pl.col("reason").is_null()).select(
        ROW,
        "line",
        pl.col("words").list.get(0).alias("user_id"),
        pl.col("words").list.get(1).alias("item_id"),
    )


def _with_made_up_times(pairs: pl.DataFrame) -> pl.DataFrame:
    """Add ``time_s``: how many lines the user had before, in days."""
    before = pl.int_range(pl.len()).over("user_id")
    return pairs.with_columns((before * STEP_S).alias("time_s"))


def _within_today(met: pl.DataFrame, now_s: float, file: str, collector: BadRowCollector) -> pl.DataFrame:
    """Leave out what a reader of the data set would refuse as being in the future."""
    late = pl.col("time_s") > now_s
    reason = pl.lit("one made-up day per line: so many lines of one user end in the future")
    _report(met.filter(late).with_columns(reason.alias("reason")), file, collector)
    return met.filter(~late)


def _report(wrong: pl.DataFrame, file: str, collector: BadRowCollector) -> None:
    if not wrong.is_empty():
        whole = (pl.lit("").alias("column"), pl.col("line").alias("value"), "reason")
        collector.bad(file, wrong.select(ROW, *whole))
