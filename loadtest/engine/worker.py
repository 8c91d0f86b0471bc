"""One process that sends: it takes its share of a plan, and tells how it goes."""

import asyncio
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from loadtest.engine.closed_loop import closed_loop
from loadtest.engine.driver import Driver, Observer
from loadtest.engine.lag import LagProbe
from loadtest.engine.open_loop import open_loop
from loadtest.engine.plan import Plan
from loadtest.engine.result import WorkerReport
from loadtest.measure.histogram import Histogram
from loadtest.measure.rows import RowLog
from loadtest.measure.tally import Tally
from loadtest.profiles.schedule import dealt, due_times
from loadtest.profiles.settings import ClosedProfile, duration_of
from loadtest.traffic.model import AudienceTraffic
from loadtest.transports.exchange import Exchange
from loadtest.transports.kinds import transport_named
from loadtest.transports.target import target_of
from recsys.core.clock import Clock

_PULSE_S = 0.5
_RECENT_S = 3.0


@dataclass(frozen=True, slots=True)
class WorkerTask:
    """What one worker needs to know; crosses processes and machines."""

    plan: Plan
    url: str
    index: int
    item_ids: tuple[str, ...]
    run_id: str

    @property
    def n_connections(self) -> int:
        """Its share of the connections of a closed loop."""
        wanted = self.plan.profile.connections if isinstance(self.plan.profile, ClosedProfile) else 0
        return len(range(self.index, wanted, self.plan.workers))


@dataclass(frozen=True, slots=True)
class Pulse:
    """How it goes right now."""

    index: int
    at_s: float
    """Since the start."""
    n_good: int
    n_shed: int
    n_failed: int
    in_flight: int
    waiting: int
    """For a connection."""
    recent: Histogram
    """Latencies of the last seconds."""
    recent_s: float
    """How many seconds those are."""


@dataclass(frozen=True, slots=True)
class WorkerOutcome:
    """Everything a worker found."""

    tally: Tally
    report: WorkerReport
    rows: pl.DataFrame | None


class Worker:
    """Make it, and call :meth:`work`, within a running event loop."""

    def __init__(self, task: WorkerTask, *, clock: Clock) -> None:
        plan = task.plan
        self._task = task
        self._clock = clock
        self._duration_s = duration_of(plan.profile)
        schedule = due_times(plan.profile.segments(), plan.seed, plan.arrivals)
        self._due_s = dealt(schedule, task.index, plan.workers)
        self._rows = RowLog(task.index) if plan.keep_rows else None
        observers: tuple[Observer, ...] = (self._keep_row,) if self._rows is not None else ()
        limits = plan.limits
        if task.n_connections > limits.connections:
            limits = limits.model_copy(update={"connections": task.n_connections})
        self._driver = Driver(
            target_of(task.url, tuple(plan.headers.items())),
            limits,
            transport_named(plan.transport),
            AudienceTraffic(
                plan.traffic,
                task.item_ids,
                seed=(plan.seed, task.index),
                run_id=f"{task.run_id}-{task.index}",
            ),
            Tally(plan.block_s(self._duration_s)),
            clock=clock,
            observers=observers,
        )

    def stop(self) -> None:
        """End early: nothing new begins, what is under way is waited for as usual."""
        self._driver.stopped.set()

    async def warm_up(self) -> None:
        """Make a first connection, uncounted."""
        await self._driver.warm_up(self._task.plan.limits.connect_timeout_s)

    async def work(self, start_s: float, on_pulse: Callable[[Pulse], None]) -> WorkerOutcome:
        """Do the work from ``start_s`` on, in seconds of the clock.

        Args:
            start_s: when the run begins.
            on_pulse: is told how it goes, every half second.
        """
        driver, plan = self._driver, self._task.plan
        gc.collect()
        gc.freeze()  # what lives until the end need not be looked through again and again
        await asyncio.sleep(max(0.0, start_s - self._clock()))
        driver.started_s = driver.ended_s = start_s
        cpu_before_s = time.process_time()
        probe = LagProbe(self._clock)
        probe.start()
        pulses = asyncio.create_task(self._pulses(on_pulse))
        if isinstance(plan.profile, ClosedProfile):
            await closed_loop(driver, connections=self._task.n_connections, duration_s=self._duration_s)
        else:
            await open_loop(driver, self._due_s, duration_s=self._duration_s)
        stopped_early = driver.stopped.is_set()
        cut = await driver.drain(plan.drain_s)
        cpu_s = time.process_time() - cpu_before_s
        probe.stop()
        pulses.cancel()
        await asyncio.gather(pulses, return_exceptions=True)
        gc.unfreeze()
        report = WorkerReport(
            self._task.index,
            elapsed_s=self._elapsed_s(stopped_early),
            cpu_s=cpu_s,
            lag=probe.lag,
            cut=cut,
            backlog_most=driver.backlog_most,
            stopped_early=stopped_early,
        )
        return WorkerOutcome(driver.tally, report, None if self._rows is None else self._rows.frame())

    def _elapsed_s(self, stopped_early: bool) -> float:
        """Return how long it took: an open loop lasts as long as its schedule at least."""
        took_s = self._driver.ended_s - self._driver.started_s
        if stopped_early or isinstance(self._task.plan.profile, ClosedProfile):
            return took_s
        return max(took_s, self._duration_s)

    def _keep_row(self, exchange: Exchange) -> None:
        if self._rows is not None:
            self._rows.note(exchange, self._driver.started_s)

    async def _pulses(self, on_pulse: Callable[[Pulse], None]) -> None:
        while True:
            await asyncio.sleep(_PULSE_S)
            on_pulse(self._pulse())

    def _pulse(self) -> Pulse:
        driver, tally = self._driver, self._driver.tally
        at_s = self._clock() - driver.started_s
        first = int(max(0.0, at_s - _RECENT_S) / tally.block_s)
        recent = [cell.latency for key, cell in tally.cells.items() if key.block >= first]
        cells = tally.cells.values()
        return Pulse(
            self._task.index,
            at_s,
            sum(cell.n_good for cell in cells),
            sum(cell.n_shed for cell in cells),
            sum(cell.n_failed for cell in cells),
            driver.in_flight,
            driver.watch_backlog(),
            Histogram.merged(recent),
            max(1e-9, at_s - first * tally.block_s),
        )
