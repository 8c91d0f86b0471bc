"""What the tables of the lake hold: their columns, what tells two rows apart, and the day they lie in."""

from dataclasses import dataclass
from typing import Literal

import polars as pl
from pydantic import PositiveInt

from recsys.core.settings import FrozenModel
from recsys.data.schema import ITEMS
from recsys.eventlog.exposure import SCHEMA as EXPOSURE_COLUMNS

DAY = "day"
"""The partition: the UTC date of a row's time; null where :func:`recsys.lake.days.with_day` says so."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One table."""

    name: str  # of the table and of its folder
    columns: pl.Schema  # without DAY
    key: tuple[str, ...]  # a second row with equal values here is left out
    time: str  # the column of the row's Unix time
    by_day: bool  # whether the table is partitioned

    @property
    def stored(self) -> pl.Schema:
        """All columns of the table as it lies on the disk."""
        return pl.Schema({**self.columns, DAY: pl.Date()}) if self.by_day else self.columns


EVENTS = Layout(
    "events",
    pl.Schema(
        {
            "event_id": pl.String(),
            "user_id": pl.String(),
            "kind": pl.String(),  # of recsys.data.events.EventKind
            "time_s": pl.Float64(),  # Unix time, UTC
            "item_id": pl.String(),
            "value": pl.Float64(),
            "context": pl.String(),
            "retracts": pl.String(),
            "request_id": pl.String(),
        }
    ),
    ("user_id", "event_id"),
    "time_s",
    by_day=True,
)
"""Columns are the fields of :class:`recsys.data.events.Event`."""

EXPOSURES = Layout(
    "exposures",
    pl.DataFrame(schema=EXPOSURE_COLUMNS).schema,
    ("request_id", "served_at_s"),  # whoever asks may choose the request's id
    "served_at_s",
    by_day=True,
)
"""Columns are the fields of :class:`recsys.eventlog.exposure.Exposure`."""

CATALOGUE = Layout(
    "items", pl.Schema({**ITEMS, "since_s": pl.Float64()}), ("item_id", "since_s"), "since_s", by_day=False
)
"""One row per item and change of it, which holds from ``since_s`` (Unix time) on."""

USERS = Layout(
    "users",
    pl.Schema({"user_digest": pl.String(), "erased_at_s": pl.Float64()}),
    ("user_digest", "erased_at_s"),
    "erased_at_s",
    by_day=False,
)
"""Who left and when, by a digest: an event that is delivered late must not bring a person back."""

LAYOUTS = (EVENTS, EXPOSURES, CATALOGUE, USERS)


class LakeConfig(FrozenModel):
    """How tables are written."""

    max_days_per_batch: PositiveInt = 64
    """Partitions that one batch may write to; the rows of its other days have none."""

    keep_days: PositiveInt = 30
    """How long files that are no longer part of a table stay, so that older versions can be read."""

    compression: Literal["ZSTD", "SNAPPY", "UNCOMPRESSED"] = "ZSTD"
    """Of Parquet pages."""

    commit_tries: PositiveInt = 8
    """How often a batch is tried again when somebody else wrote first."""
