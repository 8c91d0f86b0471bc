"""Plays of an item in the last hour, day and week, as of the last full hour.

A play at any time within hour ``h`` counts from the start of the next hour on. So the counts change at full
hours alone: a table of those changes says all, and what is online at a moment is its last row up to then.
Counts are integers and can be put together from parts in any order.
"""

from types import MappingProxyType

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.clock import SECONDS_PER_HOUR
from recsys.core.errors import ShapeError

WINDOWS_HOURS = MappingProxyType({"plays_hour": 1, "plays_day": 24, "plays_week": 168})
"""Name of the feature -> hours that it looks back on."""

PLAYS = pl.Schema({"item_id": pl.String(), "hour": pl.Int64(), "n": pl.Int64()})
"""Counts of plays: ``n`` of them within [hour, hour + 1), in hours since 1970."""

_HOURS = 1 << 32  # more than there are, so that an item and an hour are one number
_AHEAD_HOURS = 24  # clocks of clients may run ahead
_LONGEST_HOURS = max(WINDOWS_HOURS.values())


def plays_of(interactions: pl.DataFrame) -> pl.DataFrame:
    """Count ``item_id`` and ``time_s`` of positive interactions per item and hour; schema :data:`PLAYS`."""
    hours = interactions.select(
        "item_id", hour=(pl.col("time_s") / SECONDS_PER_HOUR).floor().cast(pl.Int64())
    )
    return hours.group_by("item_id", "hour").agg(n=pl.len().cast(pl.Int64())).select(*PLAYS)


def item_windows(plays: pl.DataFrame) -> pl.DataFrame:
    """Return how the counts of each item change.

    Args:
        plays: schema :data:`PLAYS`; parts of the same hour are added up.

    Returns:
        ``item_id``, ``time_s`` (a full hour, Unix time, from which the row holds) and the features of
        :data:`WINDOWS_HOURS` as Int32; by item, then time. Before its first row an item has 0.
    """
    ids = plays["item_id"].unique().sort()
    numbers = pl.DataFrame({"item_id": ids, "item": pl.int_range(ids.len(), dtype=pl.Int64(), eager=True)})
    key = pl.col("item") * _HOURS + pl.col("hour") + 1
    comes = plays.join(numbers, on="item_id", how="left").select(key.alias("key"), "n")
    names = list(WINDOWS_HOURS)
    changes = [comes.select("key", *(pl.col("n").alias(name) for name in names))]
    for gone, hours in WINDOWS_HOURS.items():
        less = (pl.when(name == gone).then(-pl.col("n")).otherwise(0).alias(name) for name in names)
        changes.append(comes.select(pl.col("key") + hours, *less))
    item = pl.col("key") // _HOURS
    return (
        pl.concat(changes)
        .group_by("key")
        .agg(pl.col(names).sum())
        .filter(pl.any_horizontal(pl.col(names) != 0))
        .sort("key")
        .select(
            pl.lit(ids).gather(item).alias("item_id"),
            ((pl.col("key") % _HOURS) * SECONDS_PER_HOUR).alias("time_s"),
            pl.col(names).cum_sum().cast(pl.Int32()),  # of an item they end at 0, where the next begins
        )
    )


class RecentPlays:
    """The same counts, kept by a server: plays come in, windows go out.

    Args:
        n_items: rows of the item vocabulary.
        now_s: Unix time.
    """

    def __init__(self, n_items: int, now_s: float) -> None:
        self._n_hours = _LONGEST_HOURS + 1 + _AHEAD_HOURS
        self._counts = np.zeros((n_items, self._n_hours), dtype=np.int32)
        self._oldest = _hour(now_s) - _LONGEST_HOURS

    def add(self, item_rows: NDArray[np.int32], times_s: NDArray[np.float64], *, now_s: float) -> int:
        """Count plays; return how many. Not counted: too old for any window, or more than a day ahead.

        Args:
            item_rows: shape (plays,).
            times_s: shape (plays,), Unix time of each.
            now_s: Unix time; never falls.

        Raises:
            ShapeError: there is not one time per item.
        """
        if item_rows.shape != times_s.shape:
            raise ShapeError("times_s", item_rows.shape, times_s.shape)
        self._go_on(now_s)
        hours = np.floor(times_s / SECONDS_PER_HOUR).astype(np.int64)
        fits = (hours >= self._oldest) & (hours < self._oldest + self._n_hours)
        np.add.at(self._counts, (item_rows[fits], hours[fits] % self._n_hours), 1)
        return int(fits.sum())

    def windows(self, item_rows: NDArray[np.int32], *, now_s: float) -> NDArray[np.int32]:
        """Return shape (items, windows), columns as in :data:`WINDOWS_HOURS`."""
        self._go_on(now_s)
        hour = _hour(now_s)
        looked_at = [np.arange(hour - hours, hour) % self._n_hours for hours in WINDOWS_HOURS.values()]
        of_items = self._counts[item_rows]
        return np.stack([of_items[:, places].sum(axis=1) for places in looked_at], axis=1).astype(np.int32)

    def _go_on(self, now_s: float) -> None:
        """Forget hours that no window looks at any more; their places are those of hours to come."""
        oldest = _hour(now_s) - _LONGEST_HOURS
        gone = np.arange(self._oldest, min(oldest, self._oldest + self._n_hours)) % self._n_hours
        self._counts[:, gone] = 0
        self._oldest = max(oldest, self._oldest)


def _hour(now_s: float) -> int:
    return int(now_s // SECONDS_PER_HOUR)
