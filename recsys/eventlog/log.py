"""What every event log can do: files do it, Kafka does it, one conformance suite runs on both."""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Protocol, Self

from recsys.eventlog.entry import Entry


class EventLog(Protocol):
    """Takes events and erasures durably; any number of threads and event loops may share one.

    Entries of one user keep the order in which they were appended. An entry whose append failed may still
    turn up: send it again with the same event id.
    """

    def append(self, entries: Sequence[Entry]) -> "Future[None]":
        """Hand entries over; the future is done once all of them would survive a crash.

        Raises:
            FieldError: an entry cannot be written down; none of them is.
            UnavailableError: too much waits already, or the log is closed; the future fails with it too.
        """
        ...

    def append_durably(self, entries: Sequence[Entry], *, timeout_s: float | None = None) -> None:
        """Append entries and return once they would survive a crash.

        Raises:
            FieldError: an entry cannot be written down.
            UnavailableError: they are not known to be safe, or not within ``timeout_s``.
        """
        ...

    async def append_soon(self, entries: Sequence[Entry]) -> None:
        """Append entries and return once they would survive a crash, without holding up the event loop.

        Raises:
            FieldError: an entry cannot be written down.
            UnavailableError: they are not known to be safe.
        """
        ...

    def close(self) -> None:
        """Bring what waits to safety, then close; further appends raise UnavailableError."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
