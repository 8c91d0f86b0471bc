"""What every store of user state can do: SQLite and Redis do it, one conformance suite runs on both."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from recsys.data.events import Event


class Applied(StrEnum):
    """What became of an event."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"  # the same event_id of the same user was there before
    ERASED = "erased"  # its time is not after the erasure of that user
    UNKNOWN = (
        "unknown"  # a retraction of an event that is not there (it is remembered: the event may come later)
    )


@dataclass(frozen=True, slots=True)
class UserState:
    """What is remembered of a user. An unknown user has an empty one."""

    item_ids: tuple[str, ...]  # positive items from old to new, the latest StateLimits.history_limit
    times_s: NDArray[np.float64]  # shape (item_ids,), Unix time
    seen: frozenset[str]  # every item that must not come back: interacted with and not retracted
    erased_at_s: float | None  # tombstone: events up to this time are refused; None when never erased
    seen_since_s: float | None = (
        None  # items last met up to then may be missing in seen; None: none is missing
    )
    version: bytes = b""  # another one whenever anything else is; empty when nobody can tell
    watched: NDArray[np.float32] | None = (
        None  # shape (item_ids,), which share was watched, nan = unknown; None: of none
    )


EMPTY = UserState((), np.zeros(0), frozenset(), None)
"""The state of a user of whom nothing is known."""


class UserStateStore(Protocol):
    """Shared memory of the users. Every method may raise UnavailableError: the store cannot be reached."""

    @property
    def is_local(self) -> bool:
        """Whether reading asks no other machine: then it is done before a thread would have begun."""
        ...

    def read(self, user_ids: Sequence[str]) -> list[UserState]:
        """Return the states of many users in one round trip, in the order asked; EMPTY where unknown."""
        ...

    def apply(self, events: Sequence[Event]) -> list[Applied]:
        """Apply events atomically per user, in the order given; applying the same again changes nothing."""
        ...

    def erase(self, user_id: str, at_s: float) -> None:
        """Forget a user and leave a tombstone: later events with a time up to ``at_s`` are refused.

        The tombstone is kept by :func:`recsys.core.pseudonyms.tombstone_of` the id, which may also be given
        in place of it: then the tombstone is all that is done. No byte of the id stays.

        What has a time after ``at_s`` stays and goes on being accepted, so that erasing and applying give one
        result in any order. Who accepts events from clocks that run ahead adds that much to ``at_s``.
        """
        ...

    def named(self, user_ids: Sequence[str]) -> int:
        """Return how many records are kept under one of these ids; a tombstone is none."""
        ...

    def close(self) -> None:
        """Release files and connections; further calls are errors."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
