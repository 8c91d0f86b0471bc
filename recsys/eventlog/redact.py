"""Taking users out of the log: what names them is overwritten where it stands.

An entry is replaced by one of the same length that says nothing, so no offset changes: writers that append to
the same segment, readers in the middle of it and followers that come back to it need not know. Only bytes of
what has to go are touched, so a death in the middle leaves at most such an entry damaged, never another one;
the next redaction finds that damage by the name in it and overwrites it as well.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from recsys.core.pseudonyms import tombstone_of
from recsys.eventlog.entry import Entry, Erasure, decode_entry, redaction
from recsys.eventlog.frame import FRAME_BYTES, Fault, Frame, Gap, frame, scan
from recsys.eventlog.reader import read_erasures
from recsys.eventlog.segment import is_open, segment_paths
from recsys.eventlog.writer import EventLogWriter

_WRITER_ID = "tombstones"
_LEAST_BYTES = FRAME_BYTES + len(redaction(0))


@dataclass(frozen=True, slots=True)
class Redacted:
    """What was overwritten."""

    n_events: int = 0
    n_erasures: int = 0
    n_damaged: int = 0  # stretches that were no whole entry and held a name


def redact(folder: Path, erased_at_s: Mapping[str, float]) -> Redacted:
    """Take users out of the log; again at any time, and while writers append.

    Of each user that the log names there is a tombstone in it afterwards, on the disk before anything is
    overwritten: an erasure of :func:`recsys.core.pseudonyms.tombstone_of` the user, which replay and training
    honour.

    Args:
        folder: where the segments are; may be missing.
        erased_at_s: user -> Unix time up to which everything of them goes; tombstones among them stay.

    Raises:
        OSError: a segment cannot be changed; those before it are done.
        UnavailableError: the tombstones cannot be written; nothing was changed.
    """
    erased_at_s = {name: at_s for name, at_s in erased_at_s.items() if tombstone_of(name) != name}
    needles = _needles(erased_at_s)
    named = [path for path in segment_paths(folder) if _holds(path.read_bytes(), needles)]
    if not named:
        return Redacted()
    _bury(folder, erased_at_s)
    counts = [_redact_segment(path, erased_at_s, needles) for path in named]
    return Redacted(
        sum(one.n_events for one in counts),
        sum(one.n_erasures for one in counts),
        sum(one.n_damaged for one in counts),
    )


def naming(folder: Path, names: Mapping[str, float]) -> dict[Path, int]:
    """Return how often each segment names one of these users, in whatever it holds; none is left out.

    Args:
        folder: where the segments are; may be missing.
        names: users; the times do not matter.
    """
    needles = _needles(names)
    counts: dict[Path, int] = {}
    for path in segment_paths(folder):
        data = path.read_bytes()
        counts[path] = sum(data.count(needle) for needle in needles)
    return {path: count for path, count in counts.items() if count}


def _needles(names: Mapping[str, float]) -> list[bytes]:
    """Return what stands in a segment where one of these users is named."""
    return [b'"user_id":' + orjson.dumps(name) for name in names]


def _holds(data: bytes, needles: list[bytes]) -> bool:
    return any(needle in data for needle in needles)


def _bury(folder: Path, erased_at_s: Mapping[str, float]) -> None:
    """Bring the tombstones to the disk that are not there yet."""
    known_s = read_erasures(folder)
    tombstones = {tombstone_of(user_id): at_s for user_id, at_s in erased_at_s.items()}
    new = [
        Erasure(user_id=tombstone, at_s=at_s)
        for tombstone, at_s in tombstones.items()
        if known_s.get(tombstone, float("-inf")) < at_s
    ]
    if new:
        with EventLogWriter(folder, _WRITER_ID) as log:
            log.append_durably(new)


def _redact_segment(path: Path, erased_at_s: Mapping[str, float], needles: list[bytes]) -> Redacted:
    """Overwrite what must go in one segment; its length and its time of change stay."""
    settled = not is_open(path)
    before = path.stat()
    counts = [0, 0, 0]
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        for part, kind in _doomed(path.read_bytes(), erased_at_s, needles, settled=settled):
            n_bytes = part.n_bytes if isinstance(part, Gap) else part.end - part.offset
            os.pwrite(descriptor, _filler(n_bytes), part.offset)
            counts[kind] += 1
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if settled:  # who looks for what is new goes by it, and so does retention
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return Redacted(*counts)


def _doomed(
    data: bytes, erased_at_s: Mapping[str, float], needles: list[bytes], *, settled: bool
) -> Iterator[tuple[Frame | Gap, int]]:
    """Yield what must go, and which of the counts of :class:`Redacted` it belongs to."""
    for part in scan(data):
        if isinstance(part, Gap):
            # the end of a segment that is open may be an entry on its way
            if (settled or part.fault is not Fault.TORN) and part.fault is not Fault.UNREADABLE:
                held = data[part.offset : part.offset + part.n_bytes]
                if _holds(held, needles):
                    yield part, 2
        elif _holds(part.payload, needles):
            entry = _entry(part.payload)
            if entry is not None and _time_s(entry) <= erased_at_s.get(entry.user_id, float("-inf")):
                yield part, int(isinstance(entry, Erasure))


def _entry(payload: bytes) -> Entry | None:
    try:
        return decode_entry(payload)
    except ValueError:  # of a later version: not ours to judge; whoever searches finds it
        return None


def _time_s(entry: Entry) -> float:
    return entry.at_s if isinstance(entry, Erasure) else entry.time_s


def _filler(n_bytes: int) -> bytes:
    """Return bytes of this length that say nothing; a whole frame unless there is no room for one."""
    if n_bytes < _LEAST_BYTES:
        return bytes(n_bytes)
    return frame(redaction(n_bytes - FRAME_BYTES))
