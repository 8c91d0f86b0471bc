"""A whole run: items are learned, workers sent out, the service's own figures read meanwhile."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx
import polars as pl

from loadtest.engine.plan import Plan
from loadtest.engine.pool import Outcome, StopFlag, run_in_processes
from loadtest.engine.result import Result
from loadtest.engine.worker import Pulse, WorkerTask
from loadtest.server_view.scrape import Figures, Scraper
from loadtest.server_view.view import ServerView, view_of
from loadtest.traffic.model import item_ids_of
from loadtest.traffic.settings import Items
from loadtest.transports.target import target_of
from recsys.core.clock import Clock, monotonic_clock
from recsys.core.errors import UnavailableError

_LEARNED_ITEMS = 100
Look = Callable[[dict[int, Pulse]], None]
RunTasks = Callable[[Sequence[WorkerTask], StopFlag, Look], Outcome]
"""Runs the tasks somewhere; the processes of this machine or those of a cluster."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a run found, on both sides."""

    plan: Plan
    url: str
    result: Result
    rows: pl.DataFrame | None
    server: ServerView | None
    """None when the service has no ``/metrics``."""
    server_silence: str = ""
    """Why there is no view of the server."""


def run_here(tasks: Sequence[WorkerTask], stop: StopFlag, look: Look) -> Outcome:
    """Run the tasks in processes of this machine."""
    return run_in_processes(tasks, stop=stop, look=look)


def run_plan(
    plan: Plan,
    url: str,
    *,
    run_id: str,
    stop: StopFlag | None = None,
    look: Look = lambda _: None,
    run_tasks: RunTasks = run_here,
    clock: Clock = monotonic_clock,
) -> Run:
    """Run a plan against a service.

    Args:
        plan: what to do.
        url: of the service.
        run_id: part of the ids of cold users and events; one that no run has used before.
        stop: ends the run early when it is set.
        look: is called several times a second with the last word of each worker.
        run_tasks: where the workers run.
        clock: monotonic seconds.

    Raises:
        FieldError: the address is none.
        UnavailableError: items are to be learned, and the service does not name any; or a worker died.
    """
    target = target_of(url, tuple(plan.headers.items()))
    items = _items(plan, target.url)
    tasks = [WorkerTask(plan, target.url, index, items, run_id) for index in range(plan.workers)]
    scraper = Scraper(target.url, plan.headers, clock=clock, verify=plan.limits.verify)
    readings = _Readings(scraper, plan.scrape_every_s, clock)
    try:
        readings.read()

        def watch(pulses: dict[int, Pulse]) -> None:
            if pulses:
                readings.read_if_due()
            else:
                readings.begin_anew()  # starting the workers took a while in which nothing was asked
            look(pulses)

        outcome = run_tasks(tasks, stop or StopFlag(), watch)
        readings.read()
    finally:
        scraper.close()
    return Run(plan, target.url, outcome.result, outcome.rows, view_of(readings.found), readings.silence)


class _Readings:
    """Readings of the service's figures; once it has none, it is not asked again until the end."""

    def __init__(self, scraper: Scraper, every_s: float, clock: Clock) -> None:
        self.found: list[Figures] = []
        self.silence = ""
        self._scraper = scraper
        self._every_s = every_s
        self._clock = clock
        self._last_s = 0.0

    def read(self) -> None:
        self._last_s = self._clock()
        try:
            self.found.append(self._scraper.read())
        except UnavailableError as error:
            self.silence = str(error)

    def begin_anew(self) -> None:
        """Forget what was read, if anything was, and read again."""
        if self.found:
            self.found.clear()
            self.read()

    def read_if_due(self) -> None:
        if self.found and self._clock() - self._last_s >= self._every_s:
            self.read()


def _items(plan: Plan, url: str) -> tuple[str, ...]:
    items: Items = plan.traffic.items
    if items.ids:
        return items.ids
    if items.n_items:
        return tuple(str(number) for number in range(items.n_items))
    if not plan.traffic.needs_items:
        return ()
    try:
        answer = httpx.get(
            f"{url}/popular?top_n={_LEARNED_ITEMS}",
            headers=plan.headers,
            timeout=plan.limits.timeout_s,
            verify=plan.limits.verify,
        )
    except httpx.HTTPError as error:
        raise UnavailableError(f"{url}/popular", f"{type(error).__name__}: {error}") from error
    return item_ids_of(answer.content)
