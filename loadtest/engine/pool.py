"""Several processes work on one plan; their counts are added up."""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import polars as pl

from loadtest.engine.event_loops import run_loop
from loadtest.engine.result import Result
from loadtest.engine.worker import Pulse, Worker, WorkerOutcome, WorkerTask
from loadtest.measure.tally import Tally
from loadtest.profiles.settings import described
from recsys.core.clock import monotonic_clock, unix_clock
from recsys.core.errors import RecsysError, UnavailableError

_HEAD_START_S = 0.2  # between the word to start and the start
_LOOK_S = 0.25
_READY_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What all workers found."""

    result: Result
    rows: pl.DataFrame | None


class StopFlag:
    """Set by Ctrl-C, or by whoever wants the run to end early."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Let the run end early."""
        self._event.set()

    def is_set(self) -> bool:
        """Return whether it shall end."""
        return self._event.is_set()


@contextmanager
def interrupts_to(flag: StopFlag) -> Iterator[None]:
    """Let the first Ctrl-C set the flag; the second one is a KeyboardInterrupt as always."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_interrupt(number: int, frame: object) -> None:
        del number, frame
        if flag.is_set():
            raise KeyboardInterrupt
        flag.set()

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def run_in_processes(
    tasks: Sequence[WorkerTask],
    *,
    stop: StopFlag,
    look: Callable[[dict[int, Pulse]], None] = lambda _: None,
) -> Outcome:
    """Run every task in a process of its own, all from the same moment on.

    Args:
        tasks: one per worker, of one plan.
        stop: ends the run early; what was done until then is the result.
        look: is called with nothing right before the start, and from then on several times a second with
            the last word of each worker.

    Raises:
        UnavailableError: a worker died.
        RecsysError: a worker could not begin.
    """
    context = multiprocessing.get_context("spawn")
    ends: dict[Connection, WorkerTask] = {}
    processes: dict[int, BaseProcess] = {}
    try:
        for task in tasks:
            here, there = context.Pipe()
            process: BaseProcess = context.Process(target=_child, args=(task, there), daemon=True)
            process.start()
            there.close()
            ends[here] = task
            processes[task.index] = process
        _wait_until_ready(ends, processes)
        look({})
        started_unix_s = _start_together(ends)
        outcomes = _collected(ends, processes, stop, look)
    finally:
        for process in processes.values():
            if process.is_alive():
                process.terminate()
            process.join()
    return added_up(tasks, outcomes, started_unix_s)


def added_up(
    tasks: Sequence[WorkerTask], outcomes: Sequence[WorkerOutcome], started_unix_s: float
) -> Outcome:
    """Return the sum of what several workers found, in the order of the workers."""
    ordered = sorted(outcomes, key=lambda outcome: outcome.report.index)
    tally = Tally(ordered[0].tally.block_s)
    for outcome in ordered:
        tally.add(outcome.tally)
    frames = [outcome.rows for outcome in ordered if outcome.rows is not None]
    result = Result(
        described(tasks[0].plan.profile), tally, tuple(outcome.report for outcome in ordered), started_unix_s
    )
    return Outcome(result, pl.concat(frames).sort("due_s", maintain_order=True) if frames else None)


def _wait_until_ready(ends: dict[Connection, WorkerTask], processes: dict[int, BaseProcess]) -> None:
    for end, task in ends.items():
        if not end.poll(_READY_LIMIT_S):
            raise UnavailableError(f"worker {task.index}", f"not ready after {_READY_LIMIT_S:.0f} s")
        said = _received(end, task, processes)
        if isinstance(said, RecsysError):
            raise said


def _start_together(ends: Iterable[Connection]) -> float:
    """Tell all workers to start at the same moment; return that, in Unix seconds."""
    start_unix_s = unix_clock() + _HEAD_START_S
    for end in ends:
        end.send(start_unix_s)
    return start_unix_s


def _collected(
    ends: dict[Connection, WorkerTask],
    processes: dict[int, BaseProcess],
    stop: StopFlag,
    look: Callable[[dict[int, Pulse]], None],
) -> list[WorkerOutcome]:
    pulses: dict[int, Pulse] = {}
    outcomes: list[WorkerOutcome] = []
    under_way = dict(ends)
    told = False
    while under_way:
        if stop.is_set() and not told:
            told = True
            for end in under_way:
                end.send(None)
        for ready in wait(list(under_way), _LOOK_S):
            end = next(end for end in under_way if end is ready)
            said = _received(end, under_way[end], processes)
            if isinstance(said, Pulse):
                pulses[said.index] = said
            elif isinstance(said, WorkerOutcome):
                outcomes.append(said)
                del under_way[end]
        look(pulses)
    return outcomes


def _received(end: Connection, task: WorkerTask, processes: dict[int, BaseProcess]) -> object:
    try:
        return end.recv()
    except EOFError:
        process = processes[task.index]
        process.join(5.0)
        raise UnavailableError(f"worker {task.index}", f"died with code {process.exitcode}") from None


def _child(task: WorkerTask, end: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent tells when to stop
    try:
        run_loop(_child_work(task, end))
    except RecsysError as error:
        end.send(error)
    except BrokenPipeError:
        os._exit(1)  # the parent is gone: nobody is left to tell


async def _child_work(task: WorkerTask, end: Connection) -> None:
    worker = Worker(task, clock=monotonic_clock)
    await worker.warm_up()
    end.send("ready")
    start_unix_s = await asyncio.to_thread(end.recv)
    start_s = monotonic_clock() + (start_unix_s - unix_clock())

    def on_message() -> None:
        try:
            end.recv()
        except EOFError:
            os._exit(1)  # the parent is gone
        worker.stop()

    asyncio.get_running_loop().add_reader(end.fileno(), on_message)
    os.set_blocking(end.fileno(), True)  # uvloop takes that away, and then large messages cannot be sent
    outcome = await worker.work(start_s, end.send)
    asyncio.get_running_loop().remove_reader(end.fileno())
    end.send(outcome)
