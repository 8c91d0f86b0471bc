"""From the log of events to interactions, as a data set has them."""

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from recsys.core.errors import DataFormatError
from recsys.data.event_rows import NEEDED, interactions_left
from recsys.data.events import Event
from recsys.data.schema import INTERACTIONS
from recsys.eventlog.entry import Erasure
from recsys.eventlog.follow import LogFollower
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


class FollowedEvents:
    """The interactions of a log that grows; each byte is read once, and what is judged is let go of.

    Args:
        folder: the log.
        on_damage: is told what could not be read.

    Raises:
        DataFormatError: there is no such folder.
    """

    def __init__(self, folder: Path, *, on_damage: OnDamage) -> None:
        if not folder.is_dir():
            raise DataFormatError(folder, "an event log", "no such folder")
        self._folder = folder
        self._on_damage = on_damage
        self._begin(0.0)

    def _begin(self, since_s: float) -> None:
        self._log = LogFollower(self._folder, on_damage=self._on_damage)
        self._since_s = since_s
        self._events: list[Event] = []
        self._left: dict[str, float] = {}  # user id -> Unix time of the erasure

    def since(self, since_s: float) -> pl.DataFrame:
        """Return the interactions since a time, schema :data:`recsys.data.schema.INTERACTIONS`.

        Args:
            since_s: Unix time; earlier than at the last call, the whole log is read anew.
        """
        if since_s < self._since_s:
            self._begin(since_s)
        self._since_s = since_s
        for entry in self._log.read():
            if isinstance(entry, Erasure):
                self._left[entry.user_id] = max(entry.at_s, self._left.get(entry.user_id, entry.at_s))
            elif entry.time_s >= since_s:
                self._events.append(entry)
        self._events = [event for event in self._events if self._counts(event, since_s)]
        return interactions_of(self._events)

    def _counts(self, event: Event, since_s: float) -> bool:
        return since_s <= event.time_s and event.time_s > self._left.get(event.user_id, float("-inf"))
