"""The files of an embedded event log, each a source of its own; positions are bytes."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recsys.core.clock import Clock, monotonic_clock
from recsys.core.errors import UnavailableError
from recsys.eventlog.entry import MAX_ENTRY_BYTES, is_redaction
from recsys.eventlog.frame import HEADER_BYTES, Fault, Frame, Gap, scan, scan_frames
from recsys.eventlog.segment import segment_paths
from recsys.streams.message import Message
from recsys.streams.source import Chunk, Content, Taken

_AT_ONCE_BYTES: Final = 4 * MAX_ENTRY_BYTES  # so that a whole entry is always among them
_NAMING_BYTES: Final = 12  # of the first entry: mark, length and checksum
_SLICE_S: Final = 0.1


@dataclass(slots=True)
class _Place:
    """How far a file was read, and under which name."""

    source: str
    at: int


class FileSource:
    """A :class:`recsys.streams.source.Source` of a folder that :class:`EventLogWriter` writes to.

    Bytes at the end of a file that are no whole entry may be one that is being written: they are read again
    when the file has grown, and come as damage once something whole stands behind them.

    A file is known by its name and the head of its first entry, so that another one of the same name, after
    the folder was emptied, is not taken for it.

    Args:
        folder: where the files are; may be missing, as before the first event.
        taken: says where to go on.
        is_ending: when it says so, reading ends at once.
        clock: monotonic.
    """

    def __init__(
        self,
        folder: Path,
        taken: Taken,
        *,
        is_ending: Callable[[], bool] = lambda: False,
        clock: Clock = monotonic_clock,
    ) -> None:
        self._folder = folder
        self._taken = taken
        self._is_ending = is_ending
        self._clock = clock
        self._places: dict[Path, _Place] = {}

    def read(self, n_messages: int, within_s: float) -> list[Chunk]:
        """Return what stands in the files, at once when anything does."""
        until_s = self._clock() + within_s
        while True:
            chunks = self._chunks(n_messages)
            if chunks or self._is_ending() or self._clock() >= until_s:
                return chunks
            time.sleep(min(_SLICE_S, max(0.0, until_s - self._clock())))

    def owns(self, chunk: Chunk) -> bool:
        """Return True: nobody else reads the folder for the same tables."""
        del chunk
        return True

    def wait(self, within_s: float) -> None:
        """Sleep, unless the end is near."""
        until_s = self._clock() + within_s
        while not self._is_ending() and (left_s := until_s - self._clock()) > 0:
            time.sleep(min(_SLICE_S, left_s))

    def done(self, chunk: Chunk) -> None:
        """Do nothing: the table knows."""

    def lag(self) -> Mapping[str, int]:
        """Return how many bytes of each file are not read yet."""
        lags = {}
        for path, place in self._found():
            lags[place.source] = max(0, _size(path) - place.at)
        return lags

    def is_at_end(self) -> bool:
        """Return True: a read finds what is there."""
        return True

    def close(self) -> None:
        """Do nothing: files are closed between reads."""

    def _chunks(self, n_messages: int) -> list[Chunk]:
        chunks = []
        for path, place in self._found():
            if n_messages > 0 and place.at < _size(path):
                messages, place.at = _messages(path, place.at, n_messages)
                n_messages -= len(messages)
                if messages:
                    chunks.append(Chunk(place.source, Content.EVENTS, messages, place.at))
        return chunks

    def _found(self) -> Iterator[tuple[Path, _Place]]:
        for path in segment_paths(self._folder):
            if path not in self._places:
                source = _name(path)
                if source is None:
                    continue
                self._places[path] = _Place(source, self._taken(Content.EVENTS, source))
            yield path, self._places[path]


def _messages(path: Path, begin: int, n_messages: int) -> tuple[list[Message], int]:
    """Return messages from a place in a file on, none only at its end, and the place behind them."""
    n_bytes = _AT_ONCE_BYTES
    while True:
        data, is_all = _bytes(path, begin, n_bytes)
        messages: list[Message] = []
        end = 0
        for part in scan_frames(data) if begin else scan(data):
            if len(messages) == n_messages:
                break
            if isinstance(part, Frame):
                if not is_redaction(part.payload):
                    messages.append(Message(begin + part.offset, part.payload))
                end = part.end
            elif _is_known(part, len(data)):
                messages.append(_damaged(begin, part, data))
                end = part.offset + part.n_bytes
        if messages or is_all:
            return messages, begin + end
        if not end:
            n_bytes *= 2  # a gap longer than that
        begin += end  # all of it was redacted


def _is_known(gap: Gap, n_bytes: int) -> bool:
    """Return whether a gap is there to stay: something whole stands behind it, or the version is another."""
    return gap.offset + gap.n_bytes < n_bytes or gap.fault is Fault.UNREADABLE


def _damaged(begin: int, gap: Gap, data: bytes) -> Message:
    value = data[gap.offset : gap.offset + gap.n_bytes]
    return Message(begin + gap.offset, value, damage=f"{gap.n_bytes} bytes are {gap.fault.value}")


def _bytes(path: Path, begin: int, n_bytes: int) -> tuple[bytes, bool]:
    """Return bytes of a file, and whether they are all up to its end."""
    try:
        with path.open("rb") as file:
            file.seek(begin)
            data = file.read(n_bytes)
    except OSError as error:
        raise UnavailableError("event log", str(error)) from error
    return data, len(data) < n_bytes


def _name(path: Path) -> str | None:
    """Return what a file is known by; None before its first entry has begun."""
    data, _ = _bytes(path, HEADER_BYTES, _NAMING_BYTES)
    return f"{path.name}#{data[4:].hex()}" if len(data) == _NAMING_BYTES else None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # removed meanwhile
        return 0
