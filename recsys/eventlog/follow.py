"""Reading a log that grows: every entry once, as soon as it is whole."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from recsys.eventlog.entry import Entry, decode_entry, is_redaction
from recsys.eventlog.frame import Fault, Frame, scan, scan_frames
from recsys.eventlog.reader import Damage, OnDamage
from recsys.eventlog.segment import segment_paths


class EntryFollower(Protocol):
    """Tells each entry of a log once, however often it is asked."""

    def read(self) -> Iterator[Entry]:
        """Yield the entries since the last call; whoever begins takes all of them.

        Raises:
            UnavailableError: the log is on another machine, which does not answer.
        """
        ...


@dataclass(slots=True)
class _Place:
    """How far a segment was read."""

    offset: int = 0  # everything before it was told
    n_bytes: int = 0  # how long the segment was then


class LogFollower:
    """Tells each entry of a log once, however often it is asked; what was read is not opened again.

    Bytes at the end of a segment that are no whole entry may be one that is being written: they are looked
    at again when the segment has grown, and told as damage once something whole stands behind them. So the
    torn end of a writer that died is never told; :func:`recsys.eventlog.reader.read_entries` does that.

    A redaction (:mod:`recsys.eventlog.redact`) changes no segment's length, so no entry is told again because
    of it; those that are redacted before they were told never are.

    Holds one number per segment, and the new bytes of one segment at a time (all of it the first time).

    Args:
        folder: where the segments are; may be missing, as before the first event.
        on_damage: is told what could not be read.
        since_s: Unix time; a segment that was last written to before is passed over.
    """

    def __init__(self, folder: Path, *, on_damage: OnDamage, since_s: float = 0.0) -> None:
        self._folder = folder
        self._on_damage = on_damage
        self._since_s = since_s
        self._places: dict[Path, _Place] = {}

    def read(self) -> Iterator[Entry]:
        """Yield the entries since the last call, each writer's in the order of its appends.

        An iterator that is left before its end tells the rest of its segment never; take all of it.
        """
        paths = segment_paths(self._folder)
        self._places = {path: self._places.get(path, _Place()) for path in paths}
        for path, place in self._places.items():
            try:
                found = path.stat()
                if found.st_size != place.n_bytes and found.st_mtime >= self._since_s:
                    yield from self._entries(path, place)
            except FileNotFoundError:  # removed meanwhile
                continue

    def _entries(self, path: Path, place: _Place) -> Iterator[Entry]:
        with path.open("rb") as file:
            file.seek(place.offset)
            data = file.read()
        begin = place.offset
        place.n_bytes = begin + len(data)
        for part in scan_frames(data) if begin else scan(data):
            if isinstance(part, Frame):
                place.offset = begin + part.end
                yield from self._decoded(path, begin, part)
            elif part.offset + part.n_bytes < len(data) or part.fault is Fault.UNREADABLE:
                self._on_damage(Damage(path, begin + part.offset, part.n_bytes, part.fault))

    def _decoded(self, path: Path, begin: int, frame: Frame) -> Iterator[Entry]:
        if is_redaction(frame.payload):
            return
        try:
            yield decode_entry(frame.payload)
        except ValueError:  # the checksum holds, so another version wrote it
            self._on_damage(Damage(path, begin + frame.offset, len(frame.payload), Fault.UNREADABLE))
