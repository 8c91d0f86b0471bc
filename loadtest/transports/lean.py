"""A client of few cycles: plain HTTP/1.1 on asyncio protocols, keep-alive, no TLS, no redirects, no proxies.

On a machine that it shares with the server, every cycle it takes is missing there. So there is no task, no
future and no stream per request: the callback that reads an answer sends the next request.
"""

import asyncio
import contextlib
from collections import deque
from typing import cast

from loadtest.transports.exchange import Done, Exchange, Failure, Request
from loadtest.transports.http1 import Answer, AnswerReader, NotHttpError
from loadtest.transports.target import Limits, Target
from recsys.core.clock import Clock

_PIECE_BYTES = 1 << 16  # of an answer read at once
_KEPT_BEGINS = 64
_SWEEP_S = 0.05  # how often requests that take too long are looked for


class LeanTransport:
    """Keeps as many connections as needed, up to the limit; requests beyond wait in order."""

    def __init__(self, target: Target, limits: Limits, *, done: Done, clock: Clock) -> None:
        self._target = target
        self._limits = limits
        self._done = done
        self._clock = clock
        fields = (("Host", target.authority), *target.headers)
        self._fields = b"".join(b"%b: %b\r\n" % (name.encode(), value.encode()) for name, value in fields)
        self._begins: dict[str, bytes] = {}  # of the requests that post to a path
        self._loop = asyncio.get_running_loop()
        self._idle: list[_Connection] = []
        self._all: set[_Connection] = set()
        self._queue: deque[Exchange] = deque()
        self._n_opening = 0
        self._opening: set[asyncio.Task[None]] = set()
        self._closed = False
        self.buffer = memoryview(bytearray(_PIECE_BYTES))  # of all connections: what is read is used at once
        self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)

    def send(self, exchange: Exchange) -> None:
        """Send on an idle connection, else on a new one, else when one becomes idle."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                connection.send(exchange, self._encoded(exchange.request))
                return
        self._queue.append(exchange)
        self._open_if_needed()

    def waiting(self) -> int:
        """Return how many exchanges wait for a connection, without those for whom one is being made."""
        return max(0, len(self._queue) - self._n_opening)

    async def close(self) -> None:
        """Close all connections."""
        self._closed = True
        self._sweeper.cancel()
        self._queue.clear()
        for task in self._opening:
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        for connection in list(self._all):
            connection.exchange = None
            connection.close()
        await asyncio.sleep(0)  # lets the loop close the sockets

    def answered(self, connection: "_Connection", exchange: Exchange, keeps: bool) -> None:
        """A connection has ended its exchange: it takes the next one in the queue, or rests."""
        if not keeps:
            connection.close()
            self._all.discard(connection)
            self._open_if_needed()
        elif self._queue:
            following = self._queue.popleft()
            connection.send(following, self._encoded(following.request))
        else:
            self._idle.append(connection)
        self._done(exchange)

    def lost(self, connection: "_Connection") -> None:
        """A connection is gone."""
        self._all.discard(connection)
        if not self._closed:
            self._open_if_needed()

    def _encoded(self, request: Request) -> bytes:
        if request.body:
            begin = self._begins.get(request.path)
            if begin is None:
                begin = self._begin(request) + b"Content-Type: application/json\r\nContent-Length: "
                if len(self._begins) < _KEPT_BEGINS:
                    self._begins[request.path] = begin
            return b"%b%d\r\n\r\n%b" % (begin, len(request.body), request.body)
        return self._begin(request) + (b"\r\n" if request.method == "GET" else b"Content-Length: 0\r\n\r\n")

    def _begin(self, request: Request) -> bytes:
        line = f"{request.method} {self._target.prefix}{request.path} HTTP/1.1\r\n"
        return line.encode() + self._fields

    def _open_if_needed(self) -> None:
        wanted = min(
            len(self._queue) - self._n_opening, self._limits.connections - len(self._all) - self._n_opening
        )
        for _ in range(wanted):
            self._n_opening += 1
            task = self._loop.create_task(self._open())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self) -> None:
        connection = _Connection(self, self._clock)
        try:
            async with asyncio.timeout(self._limits.connect_timeout_s):
                await self._loop.create_connection(lambda: connection, self._target.host, self._target.port)
        except OSError as error:  # TimeoutError is one
            self._n_opening -= 1
            self._fail_first(f"{type(error).__name__}: {error}")
            self._open_if_needed()
            return
        self._n_opening -= 1
        self._all.add(connection)
        if self._queue:
            following = self._queue.popleft()
            connection.send(following, self._encoded(following.request))
        else:
            self._idle.append(connection)

    def _fail_first(self, detail: str) -> None:
        """A connection could not be made: whoever has waited longest is told."""
        if self._queue:
            self._end(self._queue.popleft(), Failure.CONNECT, detail)

    def _end(self, exchange: Exchange, failure: Failure, detail: str) -> None:
        exchange.failure = failure
        exchange.detail = detail
        exchange.finished_s = self._clock()
        self._done(exchange)

    def _sweep(self) -> None:
        """End what takes too long, on connections and in the queue."""
        if self._closed:
            return
        oldest_s = self._clock() - self._limits.timeout_s
        late = f"no answer within {self._limits.timeout_s} s"
        for connection in [c for c in self._all if c.exchange and c.exchange.dispatched_s <= oldest_s]:
            exchange = connection.exchange
            connection.exchange = None
            connection.close()
            self._all.discard(connection)
            if exchange is not None:
                self._end(exchange, Failure.TIMEOUT, late)
        while self._queue and self._queue[0].dispatched_s <= oldest_s:
            self._end(
                self._queue.popleft(), Failure.TIMEOUT, f"no connection within {self._limits.timeout_s} s"
            )
        self._open_if_needed()
        self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)


class _Connection(asyncio.BufferedProtocol):
    """One connection with at most one exchange under way."""

    __slots__ = ("_clock", "_owner", "_reader", "_transport", "exchange", "usable")

    def __init__(self, owner: LeanTransport, clock: Clock) -> None:
        self._owner = owner
        self._clock = clock
        self._reader = AnswerReader()
        self._transport: asyncio.Transport | None = None
        self.exchange: Exchange | None = None
        self.usable = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.usable = True

    def send(self, exchange: Exchange, encoded: bytes) -> None:
        """Write a request; the connection must be free and usable."""
        self.exchange = exchange
        exchange.sent_s = self._clock()
        if self._transport is not None:
            self._transport.write(encoded)

    def get_buffer(self, sizehint: int) -> memoryview:
        del sizehint
        return self._owner.buffer

    def buffer_updated(self, nbytes: int) -> None:
        exchange = self.exchange
        if exchange is None:  # bytes that nobody asked for, or the rest of what was given up
            self.close()
            return
        try:
            answer = self._reader.feed(bytes(self._owner.buffer[:nbytes]))
        except NotHttpError as error:
            self._fail(exchange, Failure.PROTOCOL, str(error))
            return
        if answer is not None:
            self._finish(exchange, answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        exchange = self.exchange
        if exchange is not None:
            answer = self._reader.end() if exc is None else None
            if answer is not None:
                self._finish(exchange, answer)
            else:
                said = f"{type(exc).__name__}: {exc}" if exc else "the server closed the connection"
                self._fail(exchange, Failure.CLOSED, said)
        self._owner.lost(self)

    def close(self) -> None:
        """Close at once; no callback of an exchange follows once ``exchange`` is None."""
        self.usable = False
        if self._transport is not None:
            with contextlib.suppress(OSError):
                self._transport.abort()

    def _finish(self, exchange: Exchange, answer: Answer) -> None:
        exchange.finished_s = self._clock()
        exchange.status = answer.status
        exchange.body = answer.body
        if answer.status >= 400:
            exchange.retry_after = answer.retry_after
        else:
            exchange.from_cache = answer.from_cache
        self.exchange = None
        self._owner.answered(self, exchange, answer.keeps and self.usable)

    def _fail(self, exchange: Exchange, failure: Failure, detail: str) -> None:
        exchange.finished_s = self._clock()
        exchange.failure = failure
        exchange.detail = detail
        self.exchange = None
        self._owner.answered(self, exchange, keeps=False)
