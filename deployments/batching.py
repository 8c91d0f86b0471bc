"""Micro-batches: requests that come while others are under way travel on together."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from deployments.drain import DrainRate
from deployments.metrics import BATCH_WAIT_SECONDS
from deployments.settings import BatchSettings
from recsys.core.clock import Clock, monotonic_clock
from recsys.core.errors import UnavailableError

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")

FULL = "full"
LATE = "late"


class OverloadedError(UnavailableError):
    """A request that will not be answered in time, because too many others are there."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How many may wait for a batch, and for how long."""

    max_waiting: int = 1 << 30
    max_wait_s: float = float("inf")
    clock: Clock = monotonic_clock


@dataclass(slots=True)
class _Waiting(Generic[Asked, Answered]):
    asked: Asked
    future: "asyncio.Future[Answered]"
    since_s: float


class MicroBatcher(Generic[Asked, Answered]):
    """Sends at once when nothing is under way; gathers while as many batches as allowed are.

    The busier the graph, the larger the batches: one that is idle adds no wait, and one that is
    overloaded saves the most.

    Args:
        answer: answers a batch, in its order. What it raises reaches everyone in the batch.
        settings: sizes and waits.
        patience: how many may wait and for how long; any number for ever by default.
        drain: learns how fast a busy queue empties.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Asked]], Awaitable[Sequence[Answered]]],
        settings: BatchSettings,
        *,
        patience: Patience = Patience(),
        drain: DrainRate | None = None,
    ) -> None:
        self._answer = answer
        self._settings = settings
        self._patience = patience
        self._drain = drain or DrainRate()
        self._waiting: list[_Waiting[Asked, Answered]] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._send_later: asyncio.Handle | None = None

    @property
    def n_waiting(self) -> int:
        """Requests that are in no batch yet."""
        return len(self._waiting)

    async def ask(self, asked: Asked) -> Answered:
        """Return the answer to one request.

        Raises:
            OverloadedError: too many are waiting, or it has waited for too long.
        """
        if len(self._waiting) >= self._patience.max_waiting:
            raise OverloadedError("router", FULL)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answered] = loop.create_future()
        self._waiting.append(_Waiting(asked, future, self._patience.clock()))
        self._plan(loop)
        return await future

    def _plan(self, loop: asyncio.AbstractEventLoop) -> None:
        """Send soon, together with what else arrives in this turn of the loop (or while lingering)."""
        full = len(self._waiting) >= self._settings.max_size
        if self._send_later is not None or len(self._under_way) >= self._settings.max_in_flight:
            return
        if self._under_way and self._settings.linger_s and not full:
            self._send_later = loop.call_later(self._settings.linger_s, self._send)
        else:
            self._send_later = loop.call_soon(self._send)

    def _send(self) -> None:
        self._send_later = None
        while self._waiting and len(self._under_way) < self._settings.max_in_flight:
            self._drop_in_vain()
            size = self._settings.max_size
            batch, self._waiting = self._waiting[:size], self._waiting[size:]
            if batch:
                BATCH_WAIT_SECONDS.observe(self._patience.clock() - batch[0].since_s)
                # A context of its own: Serve cancels what it finds in the context of a client that hangs up.
                task = asyncio.get_running_loop().create_task(self._run(batch), context=contextvars.Context())
                self._under_way.add(task)
                task.add_done_callback(self._ended)

    def _drop_in_vain(self) -> None:
        """Drop who has gone, and refuse who would get their answer too late."""
        latest_s = self._patience.clock() - self._patience.max_wait_s
        kept = []
        for one in self._waiting:
            if one.future.done():
                continue
            if one.since_s < latest_s:
                one.future.set_exception(OverloadedError("router", LATE))
            else:
                kept.append(one)
        self._waiting = kept

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._under_way.discard(task)
        if self._waiting:
            self._send()

    async def _run(self, batch: "list[_Waiting[Asked, Answered]]") -> None:
        started_s = self._patience.clock()
        try:
            answers = await self._answer([one.asked for one in batch])
        except BaseException as error:
            for one in batch:
                if not one.future.done():
                    one.future.set_exception(
                        error if isinstance(error, Exception) else asyncio.CancelledError("the router stops")
                    )
            if not isinstance(error, Exception):
                raise
        else:
            for one, answer in zip(batch, answers, strict=True):
                if not one.future.done():
                    one.future.set_result(answer)
            took_s = self._patience.clock() - started_s
            n_abreast, n_waiting = len(self._under_way), len(self._waiting)
            self._drain.answered(len(batch), took_s, abreast=n_abreast, waiting=n_waiting)
