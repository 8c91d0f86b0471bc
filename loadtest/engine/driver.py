"""What both loops share: a request leaves, its end is counted."""

import asyncio
from collections.abc import Callable

from loadtest.measure.tally import Tally
from loadtest.traffic.source import Traffic
from loadtest.transports.exchange import Exchange, Request
from loadtest.transports.kinds import OpenTransport
from loadtest.transports.target import Limits, Target
from recsys.core.clock import Clock

Observer = Callable[[Exchange], None]
"""Is shown every exchange that has ended."""

_DRAIN_STEP_S = 0.01
_WARM_UP = Request("warm-up", "GET", "/healthz")


class Driver:
    """Sends what traffic says and counts what comes back. Make it within a running event loop."""

    def __init__(
        self,
        target: Target,
        limits: Limits,
        open_transport: OpenTransport,
        traffic: Traffic,
        tally: Tally,
        *,
        clock: Clock,
        observers: tuple[Observer, ...] = (),
    ) -> None:
        self.clock = clock
        self.tally = tally
        self.in_flight = 0
        self.backlog_most = 0
        self.stopped = asyncio.Event()
        self._warm = asyncio.Event()
        self.started_s = self.ended_s = clock()
        self.after: Observer = _nothing
        self._observers = observers
        self._traffic = traffic
        self._transport = open_transport(target, limits, done=self._done, clock=clock)

    def dispatch(self, due_s: float) -> None:
        """Let the next request leave, that was due at ``due_s``."""
        now_s = self.clock()
        self.in_flight += 1
        self._transport.send(Exchange(self._traffic.next_request(now_s), due_s, now_s))

    def watch_backlog(self) -> int:
        """Return how many requests wait for a connection, and remember the most."""
        waiting = self._transport.waiting()
        self.backlog_most = max(self.backlog_most, waiting)
        return waiting

    async def drain(self, limit_s: float) -> int:
        """Wait until nothing is under way, for ``limit_s`` at most; return how many requests are cut off."""
        until_s = self.clock() + limit_s
        while self.in_flight and self.clock() < until_s:  # noqa: ASYNC110 - an event per answer would cost more
            await asyncio.sleep(_DRAIN_STEP_S)
        cut = self.in_flight
        await self._transport.close()
        return cut

    async def warm_up(self, limit_s: float) -> None:
        """Make one connection and load what is loaded at the first request; the outcome is of no interest."""
        exchange = Exchange(_WARM_UP, self.clock(), self.clock())
        self._transport.send(exchange)
        try:
            async with asyncio.timeout(limit_s):
                await self._warm.wait()
        except TimeoutError:
            pass

    def _done(self, exchange: Exchange) -> None:
        if exchange.request is _WARM_UP:
            self._warm.set()
            return
        self.in_flight -= 1
        self.ended_s = exchange.finished_s
        self.tally.note(exchange, self.started_s)
        self._traffic.answered(exchange)
        for observe in self._observers:
            observe(exchange)
        self.after(exchange)


def _nothing(exchange: Exchange) -> None:
    del exchange
