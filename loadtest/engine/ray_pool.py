"""Workers on the machines of a Ray cluster, for when one machine cannot send enough.

The clocks of the machines must agree to some milliseconds (NTP): they agree on the start in Unix time.
"""

from collections.abc import Sequence

import ray
from ray.exceptions import RayError

from loadtest.engine.pool import Outcome, StopFlag, added_up
from loadtest.engine.session import Look, RunTasks
from loadtest.engine.worker import Pulse, Worker, WorkerOutcome, WorkerTask
from recsys.core.clock import monotonic_clock, unix_clock
from recsys.core.errors import UnavailableError

_HEAD_START_S = 1.0  # between the word to start and the start: it travels to other machines
_LOOK_S = 0.5


class RemoteWorker:
    """What runs in an actor: a worker that is told when to start, asked how it goes, and told to stop."""

    def __init__(self, task: WorkerTask) -> None:
        self._task = task
        self._worker: Worker | None = None
        self._pulse: Pulse | None = None

    @ray.method
    async def prepare(self) -> None:
        """Make a first connection."""
        self._worker = Worker(self._task, clock=monotonic_clock)
        await self._worker.warm_up()

    @ray.method
    async def work(self, start_unix_s: float) -> WorkerOutcome:
        """Do the work from that moment on."""
        if self._worker is None:
            raise UnavailableError(f"worker {self._task.index}", "it was not prepared")
        start_s = monotonic_clock() + start_unix_s - unix_clock()
        return await self._worker.work(start_s, self._keep)

    @ray.method
    async def pulse(self) -> Pulse | None:
        """Return the last word; None before the first."""
        return self._pulse

    @ray.method
    async def stop(self) -> None:
        """End early."""
        if self._worker is not None:
            self._worker.stop()

    def _keep(self, pulse: Pulse) -> None:
        self._pulse = pulse


def on_ray(address: str) -> RunTasks:
    """Return what runs tasks on a cluster, one core each, spread over its machines.

    Args:
        address: of the cluster: ``auto``, ``ray://host:10001``, or ``local`` for one of its own.
    """

    def run_tasks(tasks: Sequence[WorkerTask], stop: StopFlag, look: Look) -> Outcome:
        try:
            ray.init(address=address, ignore_reinit_error=True, log_to_driver=False)
            return _run(tasks, stop, look)
        except (RayError, ConnectionError) as error:
            first = str(error).strip().splitlines()
            raise UnavailableError(f"Ray at {address}", first[0] if first else repr(error)) from error

    return run_tasks


def _run(tasks: Sequence[WorkerTask], stop: StopFlag, look: Look) -> Outcome:
    actor = ray.remote(RemoteWorker).options(num_cpus=1, scheduling_strategy="SPREAD")
    workers = [actor.remote(task) for task in tasks]  # they end with these handles
    ray.get([worker.prepare.remote() for worker in workers])
    look({})
    start_unix_s = unix_clock() + _HEAD_START_S
    under_way = [worker.work.remote(start_unix_s) for worker in workers]
    finished, told = list(under_way), False
    while under_way:
        _, under_way = ray.wait(under_way, num_returns=len(under_way), timeout=_LOOK_S)
        if stop.is_set() and not told:
            told = True
            ray.get([worker.stop.remote() for worker in workers])
        pulses: list[Pulse | None] = ray.get([worker.pulse.remote() for worker in workers])
        look({pulse.index: pulse for pulse in pulses if pulse is not None})
    outcomes: list[WorkerOutcome] = ray.get(finished)
    return added_up(tasks, outcomes, start_unix_s)
