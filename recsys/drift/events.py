"""From the log of events to interactions, as a data set has them."""

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from recsys.data.event_rows import NEEDED, interactions_left
from recsys.data.events import Event
from recsys.data.schema import INTERACTIONS
from recsys.eventlog.reader import OnDamage, read_events


def interactions_of(events: Iterable[Event]) -> pl.DataFrame:
    """Return events as rows of :data:`recsys.data.schema.INTERACTIONS`, each event once and none taken back.

    Args:
        events: in the order of a log; the same event id of a user counts once, the first time.
    """
    columns: dict[str, list[object]] = {name: [] for name in NEEDED}
    for event in events:
        for name, values in columns.items():
            values.append(event.kind.value if name == "kind" else getattr(event, name))
    types = {**INTERACTIONS, "kind": pl.String(), "event_id": pl.String(), "retracts": pl.String()}
    rows = pl.DataFrame(columns, schema=types)
    once = rows.unique(["user_id", "event_id", "retracts"], keep="first", maintain_order=True)
    return interactions_left(once)


def interactions_in(folder: Path, *, on_damage: OnDamage) -> pl.DataFrame:
    """Return what an event log holds, without those who asked to be forgotten.

    Raises:
        DataFormatError: there is no such folder.
    """
    return interactions_of(read_events(folder, on_damage=on_damage))
