"""How late this process's own event loop is: a tick every so often, and how late each came."""

import asyncio

from loadtest.measure.histogram import Histogram
from recsys.core.clock import Clock

_TICK_S = 0.05


class LagProbe:
    """Ticks from start to stop."""

    def __init__(self, clock: Clock) -> None:
        self.lag = Histogram()
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._due_s = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to tick."""
        self._due_s = self._clock() + _TICK_S
        self._handle = self._loop.call_later(_TICK_S, self._tick)

    def stop(self) -> None:
        """Tick no more."""
        if self._handle is not None:
            self._handle.cancel()

    def _tick(self) -> None:
        self.lag.record(self._clock() - self._due_s)
        self.start()
