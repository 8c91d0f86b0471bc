"""One request and what became of it; what every transport must do with it."""

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol


class Failure(StrEnum):
    """Why there is no answer. An answer of any status is none of these."""

    CONNECT = "connect"  # no connection could be made
    CLOSED = "closed"  # the connection broke before the answer was whole
    TIMEOUT = "timeout"  # no whole answer in time
    PROTOCOL = "protocol"  # what came is not HTTP


class Request:
    """What is asked.

    Attributes:
        call: which kind of call this is, for the report.
        method: of HTTP.
        path: with the query, from the root of the service.
        body: JSON, or nothing.
        audience: what kind of user asks, for the report.
        session: whose visit this belongs to; only traffic reads it.
    """

    __slots__ = ("audience", "body", "call", "method", "path", "session")

    def __init__(
        self,
        call: str,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        audience: str = "",
        session: object = None,
    ) -> None:
        self.call = call
        self.method = method
        self.path = path
        self.body = body
        self.audience = audience
        self.session = session


class Exchange:
    """One request on its way. Times are monotonic seconds.

    Attributes:
        request: what is asked.
        due_s: when it should have left; latency counts from here.
        dispatched_s: when it was handed to the transport; later than due when this tool is late.
        sent_s: when it had a connection and its bytes were handed over.
        finished_s: when its answer was whole, or it failed.
        status: of the answer; 0 without one.
        body: of the answer.
        retry_after: whether the answer said when to come back.
        from_cache: whether a header said that the answer came from a cache.
        failure: why there is no answer.
        detail: the failure in words.
    """

    # Defaults stand in the class, not in __init__: one exchange is made per request, and most stay so.
    status: int = 0
    body: bytes = b""
    retry_after: bool = False
    from_cache: bool = False
    failure: Failure | None = None
    detail: str = ""

    def __init__(self, request: Request, due_s: float, dispatched_s: float) -> None:
        self.request = request
        self.due_s = due_s
        self.dispatched_s = dispatched_s
        self.sent_s = dispatched_s
        self.finished_s = dispatched_s


Done = Callable[[Exchange], None]
"""Is called once per exchange, from the event loop and never from within ``send``."""


class Transport(Protocol):
    """Sends exchanges. Everything happens in one event loop."""

    def send(self, exchange: Exchange) -> None:
        """Let a request leave now, or once there is a connection for it; its end is told to ``done``."""

    def waiting(self) -> int:
        """Return how many exchanges wait for a connection."""

    async def close(self) -> None:
        """Close all connections; what is under way is not told to ``done`` any more."""
