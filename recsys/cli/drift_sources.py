"""Where ``marquee drift`` reads events, and which of them."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import typer

from recsys.cli.data_source import data_source
from recsys.core.durations import seconds_in
from recsys.core.errors import FieldError
from recsys.data.badrows import OnBadRow
from recsys.drift.events import FollowedEvents, interactions_in
from recsys.drift.profile import Profile
from recsys.eventlog.reader import Damage
from recsys.lake.open import open_lake


def events_of(data: str | Path | None, log: Path | None, now_s: float) -> pl.DataFrame:
    """Return the interactions of a data set, a lake or an event log.

    Raises:
        FieldError: neither was named, or both were.
        DataFormatError: there is none.
    """
    if (data is None) == (log is None):
        raise FieldError("--data, --log", "neither" if data is None else "both", "one of them")
    if data is not None:
        loaded = data_source(data).load(on_bad_row=OnBadRow.FAIL, now_s=now_s)
        return loaded.dataset.interactions
    return interactions_in(log or Path(), on_damage=_say)


def events_since(data: str | Path | None, log: Path) -> Callable[[float], pl.DataFrame]:
    """Return what reads the interactions since a time, again and again, and older ones never twice.

    Args:
        data: a lake; None: the log.
        log: an event log.

    Raises:
        DataFormatError: there is none.
    """
    if data is None:
        return FollowedEvents(log, on_damage=_say).since
    lake = open_lake(data)
    return lambda since_s: lake.dataset(since_s=since_s).interactions


def _say(damage: Damage) -> None:
    typer.echo(f"marquee: {damage}", err=True)


def between(
    interactions: pl.DataFrame, since: str | None, until: str | None, *, default_since_s: float
) -> pl.DataFrame:
    """Return the interactions of a time range; the end is not included."""
    since_s = default_since_s if since is None else moment("--since", since)
    until_s = float("inf") if until is None else moment("--until", until)
    return interactions.filter((pl.col("time_s") >= since_s) & (pl.col("time_s") < until_s))


def moment(option: str, text: str) -> float:
    """Return the Unix time of a date or a moment, UTC where nothing else is said.

    >>> moment("--since", "1970-01-02")
    86400.0
    """
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise FieldError(option, repr(text), "a date or a moment: 2024-03-01, 2024-03-01T18:00") from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def duration_s(option: str, text: str) -> float:
    """Return the seconds of ``15m``, ``6h``, ``1d``, more than none.

    >>> duration_s("--window", "6h")
    21600.0
    """
    try:
        found_s = seconds_in(text)
    except ValueError:
        found_s = 0.0
    if found_s == 0.0:
        raise FieldError(option, repr(text), "a duration: 15m, 6h, 1d")
    return found_s


def window_of(text: str | None, profile: Profile) -> None:
    """Check that a window is as long as those of the profile.

    Raises:
        FieldError: it is not; users do more in longer windows, so they could not be compared.
    """
    if text is not None and duration_s("--window", text) != profile.window_s:
        raise FieldError("--window", text, f"{profile.window_s / 3600:g}h, as the bundle's profile has it")
