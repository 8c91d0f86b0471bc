"""Ends of the wire, on both event loops that a replica may have: Ray takes uvloop when it is there."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import uvloop

from deployments.wire.line import Line
from deployments.wire.listener import Listener, Method

Run = Callable[[Coroutine[object, object, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Return what runs a test's coroutine, and fails it when it hangs."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def run_it(test: Coroutine[object, object, None]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(asyncio.wait_for(test, 20.0))

    return run_it


@asynccontextmanager
async def _listening(max_waiting: int = 16, **methods: Method) -> AsyncIterator[Listener]:
    listener = Listener(methods, host="127.0.0.1", max_waiting=max_waiting)
    try:
        yield listener
    finally:
        listener.close()
        await asyncio.sleep(0.01)  # connections say goodbye


@asynccontextmanager
async def _connected(listener: Listener) -> AsyncIterator[Line]:
    line = await Line.open("recall", listener.address)
    try:
        yield line
    finally:
        line.retire()
        await asyncio.sleep(0.01)


@pytest.fixture
def listening() -> Callable[..., AbstractAsyncContextManager[Listener]]:
    """Return what opens a listener with the methods that it is given by name."""
    return _listening


@pytest.fixture
def connected() -> Callable[[Listener], AbstractAsyncContextManager[Line]]:
    """Return what opens a line to a listener."""
    return _connected
