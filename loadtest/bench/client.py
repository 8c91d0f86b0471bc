"""A closed-loop client that costs little: so many connections, each asks again as soon as it is answered.

It speaks just enough HTTP/1.1 for servers of ours: keep-alive, Content-Length. On a machine that it shares
with the server, every cycle it takes is missing there, and it takes the same from every server it measures.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from recsys.core.clock import Clock

_LONGEST_HEAD = 1 << 16
_PAUSE_S = 0.01  # before a new connection, after one broke


@dataclass(slots=True)
class Outcome:
    """What became of the requests of one run."""

    latencies_s: list[float] = field(default_factory=list)  # of requests answered 200 in full
    failures: list[str] = field(default_factory=list)  # everything else: a status, or what broke
    degraded: int = 0  # answered 200 with something missing
    elapsed_s: float = 0.0

    @property
    def per_s(self) -> float:
        """Answers per second."""
        return len(self.latencies_s) / self.elapsed_s if self.elapsed_s else 0.0


def post(path: str, body: bytes) -> bytes:
    """Return the bytes of a POST request."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


class _Connection:
    """One connection, made anew when it breaks."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; return status and body. Raises what a broken connection raises."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address, limit=_LONGEST_HEAD)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
        body = await reader.readexactly(int(length))
        if b"connection: close" in head:
            self.drop()
        return int(head[9:12]), body

    def drop(self) -> None:
        """Close; the next request gets a new connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def drive(
    host: str,
    port: int,
    requests: Sequence[bytes],
    *,
    connections: int,
    duration_s: float,
    clock: Clock,
    on_answer: Callable[[int, bytes], None] = lambda *_: None,
) -> Outcome:
    """Keep ``connections`` requests under way for ``duration_s``; those begun before the end are waited for.

    Args:
        host: of the server.
        port: of the server.
        requests: whole requests, sent in turn.
        connections: requests under way at any time.
        duration_s: for how long new ones are begun.
        clock: monotonic seconds.
        on_answer: is shown status and body of every answer.
    """
    outcome = Outcome()
    started_s = clock()
    turn = iter(range(1 << 62))

    async def one() -> None:
        connection = _Connection(host, port)
        while clock() - started_s < duration_s:
            asked_s = clock()
            try:
                status, body = await connection.ask(requests[next(turn) % len(requests)])
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
                outcome.failures.append(type(error).__name__)
                connection.drop()
                await asyncio.sleep(_PAUSE_S)
                continue
            _note(outcome, status, body, clock() - asked_s)
            on_answer(status, body)
        connection.drop()

    await asyncio.gather(*(one() for _ in range(connections)))
    outcome.elapsed_s = clock() - started_s
    return outcome


def _note(outcome: Outcome, status: int, body: bytes, latency_s: float) -> None:
    if status != 200:
        outcome.failures.append(f"status {status}")
        return
    outcome.latencies_s.append(latency_s)
    outcome.degraded += b'"degraded":[{' in body
