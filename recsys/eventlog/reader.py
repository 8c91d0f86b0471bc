"""Reading the log: every whole entry, and a word about every byte that is none."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from recsys.core.errors import DataFormatError
from recsys.core.pseudonyms import tombstone_of
from recsys.data.events import Event
from recsys.eventlog.entry import Entry, Erasure, decode_entry, is_erasure, is_redaction
from recsys.eventlog.frame import Fault, Frame, scan
from recsys.eventlog.segment import segment_paths


@dataclass(frozen=True, slots=True)
class Damage:
    """A part of the log that holds no readable entry.

    The end of a segment that is being written right now may show as TORN.
    """

    path: Path
    offset: int
    n_bytes: int
    fault: Fault

    def __str__(self) -> str:
        return f"{self.path}: {self.n_bytes} bytes at {self.offset} are {self.fault.value}"


_NEVER = float("-inf")

OnDamage = Callable[[Damage], None]
"""Is told of every damage; ``list.append`` collects them, a function that raises stops the reading."""


def read_entries(folder: Path, *, on_damage: OnDamage) -> Iterator[Entry]:
    """Yield every entry, each writer's in the order of its appends; writers one after another.

    An event that was sent again after an error stands in the log twice: its event id tells.

    Args:
        folder: where the segments are; may hold none.
        on_damage: is told what could not be read.

    Raises:
        DataFormatError: there is no such folder.
    """
    for path, frame in _frames(folder, on_damage):
        if is_redaction(frame.payload):
            continue
        try:
            yield decode_entry(frame.payload)
        except ValueError:  # the checksum holds, so another version wrote it
            on_damage(Damage(path, frame.offset, len(frame.payload), Fault.UNREADABLE))


def read_events(folder: Path, *, on_damage: OnDamage) -> Iterator[Event]:
    """Yield the events that may be used: those of :func:`read_entries` that no erasure in the log covers."""
    erased_at_s = read_erasures(folder)
    any_buried = any(name == tombstone_of(name) for name in erased_at_s)
    for entry in read_entries(folder, on_damage=on_damage):
        if not isinstance(entry, Event) or entry.time_s <= erased_at_s.get(entry.user_id, _NEVER):
            continue
        if not any_buried or not entry.time_s <= erased_at_s.get(tombstone_of(entry.user_id), _NEVER):
            yield entry


def read_erasures(folder: Path) -> dict[str, float]:
    """Return the latest erasure of every user that has one: Unix time up to which all is to be forgotten.

    Of users whom the log names no more (:func:`recsys.eventlog.redact.redact`), by their tombstones.

    Damage is for :func:`read_entries` to tell.
    """
    latest_s: dict[str, float] = {}
    for _, frame in _frames(folder, on_damage=lambda _: None):
        entry = decode_entry(frame.payload) if is_erasure(frame.payload) else None
        if isinstance(entry, Erasure):
            latest_s[entry.user_id] = max(entry.at_s, latest_s.get(entry.user_id, entry.at_s))
    return latest_s


def _frames(folder: Path, on_damage: OnDamage) -> Iterator[tuple[Path, Frame]]:
    if not folder.is_dir():
        raise DataFormatError(folder, "a folder with an event log", "no such folder")
    for path in segment_paths(folder):
        for part in scan(path.read_bytes()):
            if isinstance(part, Frame):
                yield path, part
            else:
                on_damage(Damage(path, part.offset, part.n_bytes, part.fault))
