"""A data set out of the lake: what may be learned from, in an order that does not depend on the files."""

from collections.abc import Callable
from datetime import UTC, datetime

import polars as pl

from recsys.data.event_rows import NEEDED, interactions_left
from recsys.data.loaded import items_met
from recsys.data.schema import ITEMS, Dataset
from recsys.lake.delta import Snapshot
from recsys.lake.layout import CATALOGUE, DAY, EVENTS


def dataset_of(
    name: str,
    events: Snapshot,
    items: Snapshot | None,
    *,
    drop: Callable[[pl.DataFrame], pl.DataFrame],
    since_s: float | None = None,
    until_s: float | None = None,
) -> Dataset:
    """Return the interactions and the catalogue of two snapshots.

    Args:
        name: of the data set.
        events: rows of :data:`EVENTS`.
        items: rows of :data:`CATALOGUE`; None: the catalogue is the items that were met.
        drop: leaves out the rows of people who left.
        since_s: Unix time; events before it are left out, and their days are not read; None: all are read.
        until_s: Unix time; nothing later is read; None: everything.
    """
    recent = events.read(NEEDED) if since_s is None else _since(events, since_s)
    interactions = interactions_of(drop(_until(recent, EVENTS.time, until_s)))
    return Dataset(name, interactions, items_of(interactions, items, until_s))


def interactions_of(events: pl.DataFrame) -> pl.DataFrame:
    """Return what was not taken back, by time, then by the id of the event.

    Args:
        events: the columns :data:`recsys.data.event_rows.NEEDED`; all of some users, for a user takes back
            their own events alone.

    Returns:
        schema :data:`recsys.data.schema.INTERACTIONS`.
    """
    return interactions_left(events.sort("time_s", "event_id", "user_id"))


def _since(events: Snapshot, since_s: float) -> pl.DataFrame:
    """Return the events since a time; of the days before it no file is opened."""
    day = datetime.fromtimestamp(since_s, UTC).date().isoformat()
    rows = events.read(NEEDED, where=f"{DAY} >= '{day}' OR {DAY} IS NULL")
    return rows.filter(pl.col(EVENTS.time) >= since_s)


def _until(rows: pl.DataFrame, time: str, until_s: float | None) -> pl.DataFrame:
    return rows if until_s is None else rows.filter(pl.col(time) <= until_s)


def items_of(
    interactions: pl.DataFrame, items: Snapshot | None, until_s: float | None = None
) -> pl.DataFrame:
    """Return the latest state of each item, by id, schema :data:`recsys.data.schema.ITEMS`.

    Args:
        interactions: their ``item_id`` are the catalogue when there is no other.
        items: rows of :data:`CATALOGUE`; None: there is none.
        until_s: Unix time; items are as they were then.
    """
    if items is None:
        met = items_met(interactions).sort("item_id")
        rows = pl.DataFrame(schema=CATALOGUE.columns)
        rows = pl.concat([rows, met], how="diagonal")
    else:
        rows = _until(items.read(list(CATALOGUE.columns)), CATALOGUE.time, until_s)
    latest = rows.sort("item_id", "since_s").unique("item_id", keep="last", maintain_order=True)
    return latest.select(*ITEMS).with_columns(
        pl.col("tags").fill_null(pl.lit([], dtype=pl.List(pl.String()))),
        pl.col("available").fill_null(value=True),
    )
