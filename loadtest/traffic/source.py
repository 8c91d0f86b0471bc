"""What the engine wants of any traffic, and the simplest kind."""

from collections.abc import Sequence
from typing import Protocol

from loadtest.transports.exchange import Exchange, Request
from recsys.core.errors import InputError


class Traffic(Protocol):
    """Says what is asked next; may learn from the answers."""

    def next_request(self, now_s: float) -> Request:
        """Return what is asked now, in monotonic seconds."""

    def answered(self, exchange: Exchange) -> None:
        """Take note of an exchange that has ended."""


class RepeatedTraffic:
    """The same requests in turn; learns nothing."""

    def __init__(self, requests: Sequence[Request], *, first: int = 0) -> None:
        if not requests:
            raise InputError("traffic of no requests")
        self._requests = requests
        self._next = first % len(requests)

    def next_request(self, now_s: float) -> Request:
        """Return the next one; after the last comes the first."""
        del now_s
        request = self._requests[self._next]
        self._next = (self._next + 1) % len(self._requests)
        return request

    def answered(self, exchange: Exchange) -> None:
        """Do nothing."""
