"""From the log back to the user state: after a power cut, a lost database, or a move to another store."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from recsys.data.events import Event
from recsys.eventlog.reader import OnDamage, read_erasures, read_events
from recsys.state.store import Applied, UserStateStore

_EVENTS_PER_CALL = 1_000


def replay(folder: Path, store: UserStateStore, *, on_damage: OnDamage) -> Counter[Applied]:
    """Apply a whole log to a store; what the store knows already changes nothing, so do it at any time.

    Erasures go first, so no moment shows what was to be forgotten.

    Args:
        folder: the log.
        store: the user state.
        on_damage: is told what could not be read.

    Returns:
        How many events met which fate.

    Raises:
        DataFormatError: there is no such folder.
        UnavailableError: the store cannot be reached; replay again when it can.
    """
    for user_id, at_s in read_erasures(folder).items():
        store.erase(user_id, at_s)
    events = read_events(folder, on_damage=on_damage)
    fates: Counter[Applied] = Counter()
    for group in _groups(events):
        fates.update(store.apply(group))
    return fates


def _groups(events: Iterator[Event]) -> Iterator[list[Event]]:
    while group := list(islice(events, _EVENTS_PER_CALL)):
        yield group
