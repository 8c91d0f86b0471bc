"""Frames: what travels on a connection between a router and a replica of a stage.

A frame is ``kind u8 | parts u8 | call u64 | length u32 per part``, little-endian, then the parts. What a part
means is the business of who calls; it is carried without a look into it, so that one may be passed on.
"""

import pickle
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

Packed = bytes | memoryview
"""One pickled object."""

MOST_BYTES: Final = 64 << 20
"""Of one frame: a batch of 64 users with 2,000 candidates each takes 2 MiB."""

_PROTOCOL: Final = 5
_HEAD: Final = struct.Struct("<BBQ")
_LENGTH_BYTES: Final = 4


class Kind(IntEnum):
    """What a frame is for."""

    HELLO = 1  # the caller's first: it knows the secret
    CALL = 2  # a method and its arguments
    CANCEL = 3  # the caller no longer waits
    RESULT = 4
    REFUSAL = 5  # why there is no result


_KINDS: Final = frozenset(map(int, Kind))


class FrameError(Exception):
    """The other side does not speak as we do."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame that came."""

    kind: Kind
    call: int
    parts: tuple[memoryview, ...]


def packed(thing: object) -> bytes:
    """Return an object as one part; arrays are copied once."""
    return pickle.dumps(thing, _PROTOCOL)


def unpacked(part: Packed) -> object:
    """Return the object of a part.

    Only for parts from who showed the secret: a pickle is a program.
    """
    return pickle.loads(part)


def frame(kind: Kind, call: int, parts: Sequence[Packed] = ()) -> list[Packed]:
    """Return the pieces of a frame, in their order."""
    lengths = struct.pack(f"<{len(parts)}I", *map(len, parts))
    return [_HEAD.pack(kind, len(parts), call) + lengths, *parts]


class FrameReader:
    """Puts frames together from bytes as they come.

    Args:
        most_bytes: a longer frame is an error; may be changed between frames.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self._came = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that are complete with these bytes.

        Raises:
            FrameError: no such kind of frame, or too long a one.
        """
        self._came += data
        while (found := self._next()) is not None:
            yield found

    def _next(self) -> Frame | None:
        came = self._came
        if len(came) < _HEAD.size:
            return None
        kind, n_parts, call = _HEAD.unpack_from(came)
        if kind not in _KINDS:
            raise FrameError(f"frame of kind {kind}, expected one of {sorted(_KINDS)}")
        start = _HEAD.size + n_parts * _LENGTH_BYTES
        if len(came) < start:
            return None
        lengths = struct.unpack_from(f"<{n_parts}I", came, _HEAD.size)
        end = start + sum(lengths)
        if end > self.most_bytes:
            raise FrameError(f"frame of {end} bytes, expected at most {self.most_bytes}")
        if len(came) < end:
            return None
        body = memoryview(bytes(memoryview(came)[start:end]))
        del came[:end]
        parts, place = [], 0
        for length in lengths:
            parts.append(body[place : place + length])
            place += length
        return Frame(Kind(kind), call, tuple(parts))
