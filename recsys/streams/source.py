"""Where messages come from: several sources with positions of their own, read side by side."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from recsys.streams.message import Message


class Content(StrEnum):
    """What the messages of a source speak of, which is also the table that they go to."""

    EVENTS = "events"
    ITEMS = "items"
    EXPOSURES = "exposures"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Messages of one source, in order."""

    source: str  # unique for ever: what was taken of it is written down by this name
    content: Content
    messages: Sequence[Message]
    upto: int  # the position that reading goes on from, behind the last message
    n_missing: int = 0  # positions before the first message that should be there and are not


Taken = Callable[[Content, str], int]
"""Returns up to which position (exclusive) a source stands in its table; 0 when nothing does."""


class Source(Protocol):
    """Sources that one process reads. Every method may raise UnavailableError: try again."""

    def read(self, n_messages: int, within_s: float) -> Sequence[Chunk]:
        """Return what came: at most so many messages, or what there is after so long, maybe nothing.

        Every source goes on behind its latest chunk; a source that is new here, behind what was taken of it.
        """
        ...

    def owns(self, chunk: Chunk) -> bool:
        """Return whether a chunk that was read is still ours to apply."""
        ...

    def wait(self, within_s: float) -> None:
        """Let time pass without reading, and without being taken for dead."""
        ...

    def done(self, chunk: Chunk) -> None:
        """Hear that a chunk stands in its table for good."""
        ...

    def lag(self) -> Mapping[str, int]:
        """Return how many positions of each source we own are not read yet."""
        ...

    def is_at_end(self) -> bool:
        """Return, after a read that found nothing, whether nothing more is there at all."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...
