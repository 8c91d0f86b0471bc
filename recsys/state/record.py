"""What is remembered of one user, and what an event does to it: pure functions that every store shares.

Remembered events lie in four ledgers, one per :class:`Sort`, each in order of time and each bounded. What
a user state holds is derived from them, so events may come late, twice, or after their own retraction: the
result depends on *which* events came, not on when (ties in time keep the order of arrival).

What a bound costs, with the defaults of :class:`StateLimits`:

- An event older than the latest 1,000 of its sort is *settled*: its item stays among the seen ones, its id
  is forgotten. Sent again it is ACCEPTED again and changes nothing; retracted, it is UNKNOWN and its item
  stays seen.
- A retraction older than the latest 1,000 is forgotten. Events that it took back stay taken back while they
  are remembered; one that arrives only after that, or again after its id was forgotten, counts.
- Settled items beyond 10,000 are dropped, those met longest ago first, and ``UserState.seen_since_s`` says up
  to which moment: an item last met by then may be recommended again.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import islice

from pydantic import PositiveInt

from recsys.core.settings import FrozenModel
from recsys.data.events import POSITIVE_EVENTS, SEEN_EVENTS, Event, EventKind
from recsys.state.store import Applied


class StateLimits(FrozenModel):
    """How much is remembered of one user."""

    history_limit: PositiveInt = 200
    """Positive items in the history, the latest ones."""

    remembered_limit: PositiveInt = 1_000
    """Events of each sort whose ids are known, so that they count once and can be retracted; a history is
    never longer than this."""

    settled_limit: PositiveInt = 10_000
    """Seen items that are kept when their events are no longer remembered one by one."""


class Sort(IntEnum):
    """What an event does to the state of its user. Each sort is bounded alone: skips push out no likes."""

    POSITIVE = 0  # enters history and seen
    SEEN = 1  # enters seen
    NEITHER = 2  # impressions, sign-ups: remembered only to be recognised
    RETRACTION = 3  # takes another event back


@dataclass(slots=True)
class Ledger:
    """Remembered events of one sort, column by column, from old to new."""

    times_s: list[float] = field(default_factory=list)
    event_ids: list[str] = field(default_factory=list)
    abouts: list[str | None] = field(default_factory=list)
    """The item; of a retraction, the id of the event it takes back; None when it was taken back itself."""
    watched: list[float | None] = field(default_factory=list)
    """Which share of the item was watched; None when nobody said."""

    def __post_init__(self) -> None:
        """Fill up what was written before shares were kept."""
        self.watched += [None] * (len(self.times_s) - len(self.watched))

    def copy(self) -> "Ledger":
        """Return a ledger that shares no list with this one."""
        return Ledger(self.times_s.copy(), self.event_ids.copy(), self.abouts.copy(), self.watched.copy())

    def insert(self, time_s: float, event_id: str, about: str | None, watched: float | None = None) -> None:
        """Put an event behind all that are not later than it."""
        at = bisect_right(self.times_s, time_s)
        self.times_s.insert(at, time_s)
        self.event_ids.insert(at, event_id)
        self.abouts.insert(at, about)
        self.watched.insert(at, watched)

    def cut(self, n_oldest: int) -> list[tuple[float, str | None]]:
        """Remove the oldest events and return their times and what they were about."""
        gone = list(zip(self.times_s[:n_oldest], self.abouts[:n_oldest], strict=True))
        del self.times_s[:n_oldest], self.event_ids[:n_oldest], self.abouts[:n_oldest]
        del self.watched[:n_oldest]
        return gone


@dataclass(slots=True)
class Record:
    """All that is kept of one user."""

    ledgers: tuple[Ledger, ...] = field(default_factory=lambda: tuple(Ledger() for _ in Sort))  # by Sort
    settled: dict[str, float] = field(default_factory=dict)  # item id -> Unix time it was last met
    seen_since_s: float | None = None
    erased_at_s: float | None = None

    def copy(self) -> "Record":
        """Return a record that shares nothing mutable with this one."""
        ledgers = tuple(ledger.copy() for ledger in self.ledgers)
        return Record(ledgers, self.settled.copy(), self.seen_since_s, self.erased_at_s)


def sort_of(kind: EventKind) -> Sort:
    """Return what an event of this kind does."""
    if kind in POSITIVE_EVENTS:
        return Sort.POSITIVE
    if kind in SEEN_EVENTS:
        return Sort.SEEN
    return Sort.RETRACTION if kind is EventKind.RETRACTION else Sort.NEITHER


def apply_events(
    record: Record, events: Sequence[Event], limits: StateLimits
) -> tuple[Record, list[Applied]]:
    """Return the record after events of its user, and what became of each; ``record`` itself stays."""
    after = record.copy()
    applied = [_apply(after, event) for event in events]
    for sort in Sort:
        _settle(after, sort, limits)
    return after, applied


def changes(applied: Sequence[Applied]) -> bool:
    """Return whether any of these left a trace in the record."""
    return any(one in (Applied.ACCEPTED, Applied.UNKNOWN) for one in applied)


def positions_by_user(events: Sequence[Event]) -> dict[str, list[int]]:
    """Return where the events of each user stand, in order."""
    positions: dict[str, list[int]] = {}
    for position, event in enumerate(events):
        positions.setdefault(event.user_id, []).append(position)
    return positions


def parts_of(records: Iterable[tuple[str, Record]], size: int = 5_000) -> Iterator[list[tuple[str, Record]]]:
    """Yield records in parts of ``size``, so that any number of them passes through bounded memory."""
    left = iter(records)
    while part := list(islice(left, size)):
        yield part


def erase_until(record: Record, at_s: float) -> Record:
    """Return the record without anything up to ``at_s``, and with a tombstone there (never an earlier one).

    What has a later time stays: an erasure and events around it give one result, whichever comes first (as
    long as no retraction has an earlier time than its event).
    """
    until_s = at_s if record.erased_at_s is None else max(at_s, record.erased_at_s)
    after = record.copy()
    for ledger in after.ledgers:
        ledger.cut(bisect_right(ledger.times_s, until_s))
    after.settled = {item_id: time_s for item_id, time_s in after.settled.items() if time_s > until_s}
    if after.seen_since_s is not None and after.seen_since_s <= until_s:
        after.seen_since_s = None  # all that was dropped was from before the erasure
    after.erased_at_s = until_s
    return after


def _apply(record: Record, event: Event) -> Applied:
    if record.erased_at_s is not None and event.time_s <= record.erased_at_s:
        return Applied.ERASED
    if any(event.event_id in ledger.event_ids for ledger in record.ledgers):
        return Applied.DUPLICATE
    sort = sort_of(event.kind)
    if sort is Sort.RETRACTION:
        known = _take_back(record, event.retracts)
        record.ledgers[sort].insert(event.time_s, event.event_id, event.retracts)
        return Applied.ACCEPTED if known else Applied.UNKNOWN
    taken_back = event.event_id in record.ledgers[Sort.RETRACTION].abouts
    watched = event.value if event.kind is EventKind.WATCH else None  # of other kinds it means other things
    record.ledgers[sort].insert(event.time_s, event.event_id, None if taken_back else event.item_id, watched)
    return Applied.ACCEPTED


def _take_back(record: Record, event_id: str | None) -> bool:
    """Undo an event; False when it is not remembered. A retraction has nothing to undo: it stays."""
    for sort, ledger in enumerate(record.ledgers):
        if event_id in ledger.event_ids:
            if sort != Sort.RETRACTION:
                ledger.abouts[ledger.event_ids.index(event_id)] = None
            return True
    return False


def _settle(record: Record, sort: Sort, limits: StateLimits) -> None:
    """Forget the ids of events beyond the limit; the items of those that hide one stay hidden."""
    ledger = record.ledgers[sort]
    gone = ledger.cut(max(0, len(ledger.times_s) - limits.remembered_limit))
    if sort not in (Sort.POSITIVE, Sort.SEEN):
        return
    for time_s, item_id in gone:
        if item_id is not None:
            record.settled[item_id] = max(time_s, record.settled.get(item_id, time_s))
    n_over = len(record.settled) - limits.settled_limit
    if n_over > 0:
        for item_id in sorted(record.settled, key=record.settled.__getitem__)[:n_over]:
            dropped_s = record.settled.pop(item_id)
            record.seen_since_s = max(dropped_s, record.seen_since_s or dropped_s)
