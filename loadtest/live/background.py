"""A live run in a thread of its own, while something else is done to the service."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

from loadtest.engine.event_loops import run_loop
from loadtest.live.result import LiveResult

Play = Callable[[asyncio.Event], Coroutine[Any, Any, LiveResult]]
"""Plays until the event is set."""


class Background:
    """A run that goes on; only :func:`playing` makes one."""

    def __init__(self) -> None:
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turns = threading.Event()  # set once there is a loop, or never will be
        self._found: Future[LiveResult] = Future()

    def start(self, play: Play, pool: ThreadPoolExecutor) -> None:
        """Begin."""
        self._found = pool.submit(self._run, play)
        self._turns.wait()

    def finish(self) -> LiveResult:
        """Stop the run, wait for what is under way, return what it found; again when called again."""
        if self._loop is not None:
            with suppress(RuntimeError):  # it ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        return self._found.result()

    def _run(self, play: Play) -> LiveResult:
        try:
            return run_loop(self._main(play))
        finally:
            self._turns.set()

    async def _main(self, play: Play) -> LiveResult:
        self._loop = asyncio.get_running_loop()
        self._turns.set()
        return await play(self._stop)


@contextmanager
def playing(play: Play) -> Iterator[Background]:
    """Play in the background; at the end the run is stopped and waited for.

    Raises:
        RecsysError: what the run raised, when it is finished.
    """
    background = Background()
    with ThreadPoolExecutor(1, thread_name_prefix="live") as pool:
        background.start(play, pool)
        try:
            yield background
        finally:
            background.finish()
