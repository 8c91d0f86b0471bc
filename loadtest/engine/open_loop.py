"""Requests leave when they are due, whatever the answers do."""

import asyncio

import numpy as np
from numpy.typing import NDArray

from loadtest.engine.driver import Driver
from loadtest.engine.timer import open_timer

_AT_ONCE = 32  # requests sent before answers are looked at again, when many are overdue


async def open_loop(driver: Driver, due_s: NDArray[np.float64], *, duration_s: float) -> None:
    """Let every request leave when it is due, or as soon as possible after: none is ever skipped.

    Returns when the schedule is over or the driver is stopped; those under way are for :meth:`Driver.drain`.

    Args:
        driver: sends and counts; its ``started_s`` may lie ahead.
        due_s: seconds from ``driver.started_s``, rising.
        duration_s: of the schedule, which may go on after the last request.
    """
    pacer = _Pacer(driver, due_s)
    pacer.tick()
    try:
        async with asyncio.timeout(max(0.0, driver.started_s + duration_s - driver.clock())):
            await driver.stopped.wait()
    except TimeoutError:
        await pacer.finished(driver.stopped)
    finally:
        pacer.close()


class _Pacer:
    def __init__(self, driver: Driver, due_s: NDArray[np.float64]) -> None:
        self._driver = driver
        self._due_s: list[float] = (due_s + driver.started_s).tolist()
        self._next = 0
        self._loop = asyncio.get_running_loop()
        self._timer = open_timer(driver.clock, self.tick)
        self._over = asyncio.Event()

    def tick(self) -> None:
        """Send what is due, then sleep until the next is."""
        driver, due_s = self._driver, self._due_s
        last = min(self._next + _AT_ONCE, len(due_s))
        while self._next < last and due_s[self._next] <= driver.clock():
            self._next += 1
            driver.dispatch(due_s[self._next - 1])
        if self._next == len(due_s):
            self._over.set()
        elif not driver.stopped.is_set():
            # An overdue request's moment has passed, so the timer rings at once: behind the answers at hand.
            self._timer.wake_at(due_s[self._next])

    async def finished(self, stopped: asyncio.Event) -> None:
        """Wait until the last request has left, however late, or the driver is stopped."""
        waits = [asyncio.create_task(event.wait()) for event in (self._over, stopped)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    def close(self) -> None:
        self._timer.close()
