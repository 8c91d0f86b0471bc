"""How a segment is laid out, and how to find what is whole in one that is not.

A segment is a header, then frames::

    header  "MQEV" | version (uint16) | 0 (uint16) | CRC-32 of the eight bytes before
    frame   F5 FE F5 FE | length of payload (uint32) | CRC-32 of length and payload (uint32) | payload

Numbers are little-endian. Payloads are UTF-8, in which the bytes F5 and FE never occur: no payload holds what
looks like a frame, so reading can go on behind damage without inventing anything.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

VERSION = 1

_MAGIC = b"MQEV"
_HEADER = struct.Struct("<4sHHI")
_MARK = b"\xf5\xfe\xf5\xfe"
_HEAD = struct.Struct("<4sII")

FRAME_BYTES = _HEAD.size
"""What a frame takes beyond its payload."""


class Fault(StrEnum):
    """What is wrong with a part of a segment."""

    TORN = "torn"  # the file ends inside a frame: its writer died; nobody was told that it was kept
    CORRUPT = "corrupt"  # bytes have changed since they were written: acknowledged entries may be lost
    UNREADABLE = "unreadable"  # the bytes are as written, but this version cannot read them


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole frame, its checksum verified."""

    offset: int
    payload: bytes

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.offset + _HEAD.size + len(self.payload)


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes of a segment that hold no whole frame."""

    offset: int
    n_bytes: int
    fault: Fault


def header(version: int = VERSION) -> bytes:
    """Return what every segment begins with."""
    start = _HEADER.pack(_MAGIC, version, 0, 0)[:-4]
    return start + zlib.crc32(start).to_bytes(4, "little")


HEADER_BYTES = _HEADER.size


def frame(payload: bytes) -> bytes:
    """Return a payload as it stands in a segment."""
    return _HEAD.pack(_MARK, len(payload), _checksum(payload)) + payload


def scan(data: bytes) -> Iterator[Frame | Gap]:
    """Yield what a segment holds, in order: every whole frame, and every stretch of bytes that is none."""
    at, gap = _after_header(data)
    if gap is not None:
        yield gap
    yield from scan_frames(data, at)


def scan_frames(data: bytes, at: int = 0) -> Iterator[Frame | Gap]:
    """Yield what stands behind the place where frames begin, in order."""
    while at < len(data):
        payload = _payload_at(data, at)
        if payload is not None:
            yield Frame(at, payload)
            at += _HEAD.size + len(payload)
            continue
        behind = _next_frame(data, at + 1)
        torn = behind == len(data) and _is_start_of_frame(data, at)
        yield Gap(at, behind - at, Fault.TORN if torn else Fault.CORRUPT)
        at = behind


def _checksum(payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(len(payload).to_bytes(4, "little")))


def _after_header(data: bytes) -> tuple[int, Gap | None]:
    """Return where frames begin, and what is wrong before that."""
    found = data[:HEADER_BYTES]
    if found == header():
        return HEADER_BYTES, None
    if header().startswith(found):  # the writer died at the very beginning; an empty file too
        return len(data), Gap(0, len(data), Fault.TORN)
    version = int.from_bytes(found[4:6], "little")
    if found == header(version):
        return len(data), Gap(0, len(data), Fault.UNREADABLE)
    behind = _next_frame(data, 0)
    return behind, Gap(0, behind, Fault.CORRUPT)


def _payload_at(data: bytes, at: int) -> bytes | None:
    """Return the payload of the frame at a place; None when no whole frame stands there."""
    if at + _HEAD.size > len(data):
        return None
    mark, n_bytes, checksum = _HEAD.unpack_from(data, at)
    start = at + _HEAD.size
    if mark != _MARK or start + n_bytes > len(data):
        return None
    payload = data[start : start + n_bytes]
    return payload if _checksum(payload) == checksum else None


def _next_frame(data: bytes, start: int) -> int:
    """Return where the next whole frame begins; the end of the data when there is none."""
    at = data.find(_MARK, start)
    while at >= 0 and _payload_at(data, at) is None:
        at = data.find(_MARK, at + 1)
    return at if at >= 0 else len(data)


def _is_start_of_frame(data: bytes, at: int) -> bool:
    """Return whether the data ends before the frame that begins here does."""
    if not _MARK.startswith(data[at : at + len(_MARK)]):
        return False
    if at + _HEAD.size > len(data):
        return True
    _, n_bytes, _ = _HEAD.unpack_from(data, at)
    return bool(at + _HEAD.size + n_bytes > len(data))
