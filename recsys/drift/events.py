"""From the log of events to interactions, as a data set has them."""

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from recsys.data.events import Event, EventKind
from recsys.data.schema import INTERACTIONS
from recsys.eventlog.reader import OnDamage, read_events

_NO_INTERACTION = frozenset({EventKind.SIGNUP, EventKind.RETRACTION})


def interactions_of(events: Iterable[Event]) -> pl.DataFrame:
    """Return events as rows of :data:`recsys.data.schema.INTERACTIONS`, each event once and none taken back.

    Args:
        events: in the order of a log; the same event id of a user counts once, the first time.
    """
    kept: dict[tuple[str, str], Event] = {}
    taken_back: set[tuple[str, str]] = set()
    for event in events:
        if event.retracts is not None:
            taken_back.add((event.user_id, event.retracts))
        elif event.kind not in _NO_INTERACTION:
            kept.setdefault((event.user_id, event.event_id), event)
    left = [event for key, event in kept.items() if key not in taken_back]
    columns = {name: [getattr(event, name) for event in left] for name in INTERACTIONS if name != "kind"}
    kinds = [event.kind.value for event in left]
    return pl.DataFrame({**columns, "kind": kinds}, schema_overrides=INTERACTIONS).select(*INTERACTIONS)


def interactions_in(folder: Path, *, on_damage: OnDamage) -> pl.DataFrame:
    """Return what an event log holds, without those who asked to be forgotten.

    Raises:
        DataFormatError: there is no such folder.
    """
    return interactions_of(read_events(folder, on_damage=on_damage))
