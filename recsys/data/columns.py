"""What each column of a file must hold, checked for all rows at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import polars as pl

from recsys.core.clock import SECONDS_PER_DAY
from recsys.data.badrows import ROW, BadRowCollector
from recsys.data.schema import KIND_DTYPE, Kind


class TimeUnit(StrEnum):
    """How a file writes time: a number of these since 1970, or ISO 8601 text (UTC unless it says so)."""

    S = "s"
    MS = "ms"
    US = "us"
    NS = "ns"
    ISO = "iso"


_PER_SECOND = {TimeUnit.S: 1.0, TimeUnit.MS: 1e3, TimeUnit.US: 1e6, TimeUnit.NS: 1e9}
_TRUE = ("true", "t", "yes", "y", "1", "1.0")
_FALSE = ("false", "f", "no", "n", "0", "0.0")
_ISO_FORMATS = ("%Y-%m-%d %H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M")


class Parsed(NamedTuple):
    """Two expressions over the raw frame."""

    value: pl.Expr
    reason: pl.Expr  # null where the value is fine


@dataclass(frozen=True, slots=True)
class Column:
    """One column to be made out of one column of a file."""

    name: str
    source: str
    parse: Callable[[pl.DataType], Parsed]  # from the type the file has


def identifier(name: str, source: str) -> Column:
    """Text that must be there; whole numbers are written without a point."""

    def parse(dtype: pl.DataType) -> Parsed:
        raw = pl.col(source)
        text = (raw.cast(pl.Int64(), strict=False) if dtype.is_float() else raw).cast(pl.String())
        absent = raw.is_null() | (_text(raw).str.strip_chars() == "")
        checks: list[tuple[pl.Expr, str]] = [(absent, "missing")]
        if dtype.is_float():
            checks.append(((raw % 1 != 0).fill_null(value=True) | text.is_null(), "not a whole number"))
        return Parsed(text, _first_reason(checks))

    return Column(name, source, parse)


def text(name: str, source: str) -> Column:
    """Text that may be absent; empty is absent."""

    def parse(_: pl.DataType) -> Parsed:
        raw = _text(pl.col(source))
        return Parsed(pl.when(raw != "").then(raw), pl.lit(None, dtype=pl.String()))

    return Column(name, source, parse)


def number(
    name: str, source: str, *, low: float | None = None, high: float | None = None, required: bool = False
) -> Column:
    """A finite number between two bounds, both included."""

    def parse(dtype: pl.DataType) -> Parsed:
        value, absent = _number(source, dtype)
        checks = [(absent, "missing")] if required else []
        checks += [(value.is_null() & ~absent, "not a number"), (~value.is_finite(), "not finite")]
        if low is not None:
            checks.append((value < low, f"below {low:g}"))
        if high is not None:
            checks.append((value > high, f"above {high:g}"))
        return Parsed(value, _first_reason(checks))

    return Column(name, source, parse)


def moment(
    name: str,
    source: str,
    unit: TimeUnit,
    *,
    now_s: float | None,
    required: bool = True,
    low: float | None = 0.0,
) -> Column:
    """Unix time in seconds, not before ``low`` and not later than a day after ``now_s``."""

    def parse(dtype: pl.DataType) -> Parsed:
        value, absent = _seconds(source, dtype, unit)
        checks = [(absent, "missing")] if required else []
        checks += [(value.is_null() & ~absent, "not a time"), (~value.is_finite(), "not finite")]
        if low is not None:
            checks.append((value < low, "before 1970" if low == 0.0 else f"before {low:g} s"))
        if now_s is not None:
            checks.append((value > now_s + SECONDS_PER_DAY, "in the future"))
        return Parsed(value, _first_reason(checks))

    return Column(name, source, parse)


def kind(name: str, source: str, mapping: Mapping[str, Kind]) -> Column:
    """One of the words that ``mapping`` knows."""
    words = list(mapping)

    def parse(dtype: pl.DataType) -> Parsed:
        raw = pl.col(source)
        if dtype == KIND_DTYPE and all(mapping.get(each.value) is each for each in Kind):
            return Parsed(raw, _first_reason([(raw.is_null(), "missing")]))
        word = _text(raw)
        value = word.replace_strict(
            words, [mapping[w].value for w in words], default=None, return_dtype=KIND_DTYPE
        )
        unknown = f"not one of {', '.join(words[:12])}{', ...' if len(words) > 12 else ''}"
        absent = word.is_null() | (word == "")
        return Parsed(value, _first_reason([(absent, "missing"), (value.is_null(), unknown)]))

    return Column(name, source, parse)


def truth(name: str, source: str) -> Column:
    """Yes or no; absent stays absent."""

    def parse(dtype: pl.DataType) -> Parsed:
        if dtype == pl.Boolean():
            return Parsed(pl.col(source), pl.lit(None, dtype=pl.String()))
        word = _text(pl.col(source)).str.strip_chars().str.to_lowercase()
        value = (
            pl.when(word.is_in(_TRUE))
            .then(pl.lit(value=True))
            .when(word.is_in(_FALSE))
            .then(pl.lit(value=False))
        )
        unknown = word.is_not_null() & (word != "") & ~word.is_in([*_TRUE, *_FALSE])
        return Parsed(value, _first_reason([(unknown, "neither true nor false")]))

    return Column(name, source, parse)


def tags(name: str, source: str, separator: str) -> Column:
    """Words in a list, or in one text between separators; empty words and repeats go."""

    def parse(dtype: pl.DataType) -> Parsed:
        raw = pl.col(source)
        words = (
            raw.cast(pl.List(pl.String())) if isinstance(dtype, pl.List) else _text(raw).str.split(separator)
        )
        stripped = words.list.eval(pl.element().str.strip_chars())
        kept = stripped.list.filter(pl.element().fill_null("") != "").list.unique(maintain_order=True)
        return Parsed(kept, pl.lit(None, dtype=pl.String()))

    return Column(name, source, parse)


def parse_rows(
    frame: pl.DataFrame, columns: Sequence[Column], file: str, collector: BadRowCollector
) -> pl.DataFrame:
    """Make the columns out of a raw frame; rows with a bad value go to the collector and not into the result.

    Args:
        frame: the sources of all columns, and :data:`ROW`.
        columns: what to make; the order decides under which column a row is counted.
        file: name for the report.
        collector: what was bad.

    Returns:
        One column per entry of ``columns``, named by it, and :data:`ROW`, in the order of the file.
    """
    parsed = {column: column.parse(frame.schema[column.source]) for column in columns}
    reasons = frame.select(
        pl.coalesce(
            *(
                pl.when(each.reason.is_not_null()).then(
                    pl.struct(
                        pl.lit(column.source).alias("column"),
                        _text(pl.col(column.source)).alias("value"),
                        each.reason.alias("reason"),
                    )
                )
                for column, each in parsed.items()
            )
        ).alias("why")
    )["why"]
    good = reasons.is_null()
    if not good.all():
        bad = frame.select(ROW).with_columns(reasons).filter(~good)
        collector.bad(file, bad.unnest("why"))
        frame = frame.filter(good)
    return frame.select(ROW, *(each.value.alias(column.name) for column, each in parsed.items()))


def _first_reason(checks: Sequence[tuple[pl.Expr, str]]) -> pl.Expr:
    reason = pl.lit(None, dtype=pl.String())
    for wrong, why in reversed(checks):
        reason = pl.when(wrong).then(pl.lit(why)).otherwise(reason)
    return reason


def _text(raw: pl.Expr) -> pl.Expr:
    return raw.cast(pl.String())


def _number(source: str, dtype: pl.DataType) -> tuple[pl.Expr, pl.Expr]:
    """Return the value and whether nothing stands there."""
    raw = pl.col(source)
    if dtype != pl.String():
        return raw.cast(pl.Float64(), strict=False), raw.is_null()
    stripped = raw.str.strip_chars()
    return stripped.cast(pl.Float64(), strict=False), raw.is_null() | (stripped == "")


def _seconds(source: str, dtype: pl.DataType, unit: TimeUnit) -> tuple[pl.Expr, pl.Expr]:
    raw = pl.col(source)
    if dtype.is_temporal():
        return raw.cast(pl.Datetime("us")).dt.epoch("us") / 1e6, raw.is_null()
    if unit is not TimeUnit.ISO:
        value, absent = _number(source, dtype)
        return value / _PER_SECOND[unit], absent
    stripped = _text(raw).str.strip_chars()
    iso = stripped.str.replace("T", " ", literal=True).str.replace("Z$", "+00:00")
    moments = [iso.str.to_datetime(f, strict=False, time_unit="us").dt.epoch("us") for f in _ISO_FORMATS]
    days = iso.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")).dt.epoch("us")
    return pl.coalesce(*moments, days) / 1e6, raw.is_null() | (stripped == "")


def detect_unit(values: pl.Series) -> TimeUnit:
    """Guess how times are written: text that is mostly no number is ISO 8601; else by magnitude.

    Seconds since 1970 stay below 1e11 until the year 5138, milliseconds are above it since 1973, and so on.

    >>> detect_unit(pl.Series([964982703, 964981247])).value, detect_unit(pl.Series(["2000-07-30"])).value
    ('s', 'iso')
    """
    if values.dtype.is_temporal():
        return TimeUnit.ISO
    numbers = values.cast(pl.Float64(), strict=False)
    known = values.len() - values.null_count()
    if values.dtype == pl.String() and (numbers.len() - numbers.null_count()) * 2 < known:
        return TimeUnit.ISO
    typical = numbers.drop_nans().abs().median()
    size = typical if isinstance(typical, float) else 0.0
    limits = ((1e11, TimeUnit.S), (1e14, TimeUnit.MS), (1e17, TimeUnit.US))
    return next((unit for limit, unit in limits if size < limit), TimeUnit.NS)
