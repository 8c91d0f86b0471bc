"""The shortest way from Python to a result: drive a server with given requests, in this process.

asked = [post("recommend", "/recommend", b"{}")]
result = drive_closed("http://127.0.0.1:8000", asked, connections=64, duration_s=8)
result.good_per_s, result.latency_ms(99), result.total.failures, result.cpu_us_per_request
"""

import time
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from loadtest.engine.closed_loop import closed_loop
from loadtest.engine.driver import Driver, Observer
from loadtest.engine.event_loops import run_loop
from loadtest.engine.lag import LagProbe
from loadtest.engine.open_loop import open_loop
from loadtest.engine.result import Result, WorkerReport
from loadtest.measure.tally import Tally
from loadtest.traffic.source import RepeatedTraffic, Traffic
from loadtest.transports.exchange import Request
from loadtest.transports.kinds import transport_named
from loadtest.transports.target import Limits, target_of
from recsys.core.clock import Clock, monotonic_clock


def post(call: str, path: str, body: bytes) -> Request:
    """Return a POST request with a JSON body."""
    return Request(call, "POST", path, body)


def get(call: str, path: str) -> Request:
    """Return a GET request."""
    return Request(call, "GET", path)


def drive_closed(
    url: str,
    requests: Sequence[Request] | Traffic,
    *,
    connections: int,
    duration_s: float,
    transport: str = "lean",
    limits: Limits | None = None,
    clock: Clock = monotonic_clock,
    observers: tuple[Observer, ...] = (),
) -> Result:
    """Keep ``connections`` requests under way for ``duration_s``; those begun before the end are waited for.

    Args:
        url: of the service, ``http://host:port``.
        requests: sent in turn, or traffic that says what is asked.
        connections: requests under way at any time.
        duration_s: for how long new ones are begun.
        transport: ``lean`` or ``httpx``.
        limits: connections (at least as many as asked for are allowed) and timeouts.
        clock: monotonic seconds.
        observers: are shown every exchange that has ended, with its answer.

    Raises:
        FieldError: the address is none, or ``lean`` is asked for https.
        NotFoundError: there is no such transport.
    """
    wide = limits or Limits()
    if wide.connections < connections:
        wide = wide.model_copy(update={"connections": connections})

    async def loop(driver: Driver) -> None:
        await closed_loop(driver, connections=connections, duration_s=duration_s)

    mode = f"closed loop, {connections} connections"
    return run_loop(_drive(url, requests, loop, mode, transport, wide, clock, observers))


def drive_open(
    url: str,
    requests: Sequence[Request] | Traffic,
    due_s: NDArray[np.float64],
    *,
    duration_s: float,
    transport: str = "lean",
    limits: Limits | None = None,
    clock: Clock = monotonic_clock,
    observers: tuple[Observer, ...] = (),
) -> Result:
    """Let a request leave at each moment of a schedule, whatever the answers do; all ends are waited for.

    Args:
        url: of the service, ``http://host:port``.
        requests: sent in turn, or traffic that says what is asked.
        due_s: shape (requests,), rising: seconds from the start, as :func:`due_times` makes them.
        duration_s: of the schedule, which may go on after its last request.
        transport: ``lean`` or ``httpx``.
        limits: connections and timeouts.
        clock: the monotonic clock of this machine.
        observers: are shown every exchange that has ended, with its answer.

    Raises:
        FieldError: the address is none, or ``lean`` is asked for https.
        NotFoundError: there is no such transport.
    """

    async def loop(driver: Driver) -> None:
        await open_loop(driver, due_s, duration_s=duration_s)

    mode = f"open loop, {len(due_s) / duration_s:g}/s for {duration_s:g} s"
    return run_loop(_drive(url, requests, loop, mode, transport, limits or Limits(), clock, observers))


async def _drive(
    url: str,
    requests: Sequence[Request] | Traffic,
    loop: Callable[[Driver], Awaitable[None]],
    mode: str,
    transport: str,
    limits: Limits,
    clock: Clock,
    observers: tuple[Observer, ...],
) -> Result:
    traffic = RepeatedTraffic(requests) if isinstance(requests, Sequence) else requests
    cpu_before_s = time.process_time()
    driver = Driver(
        target_of(url), limits, transport_named(transport), traffic, Tally(), clock=clock, observers=observers
    )
    probe = LagProbe(clock)
    probe.start()
    await loop(driver)
    cut = await driver.drain(limits.timeout_s + limits.connect_timeout_s)
    elapsed_s = driver.ended_s - driver.started_s
    probe.stop()
    report = WorkerReport(0, elapsed_s, time.process_time() - cpu_before_s, probe.lag, cut)
    return Result(mode, driver.tally, (report,))
