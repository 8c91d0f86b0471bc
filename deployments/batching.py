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

_LEAST = 8  # smaller batches would save no time: each call has a price of its own

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


def _since_s(one: _Waiting[Asked, Answered]) -> float:
    return one.since_s


class MicroBatcher(Generic[Asked, Answered]):
    """Sends at once when nothing is under way; gathers company when something is.

    With as many batches under way as allowed, everybody waits for the next. The busier the graph, the
    larger the batches: one that is idle adds no wait, and one that is overloaded saves the most. A batch of
    any size has a price of its own, as high as that of about six requests (docs/performance.md).

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
        self.max_in_flight = settings.max_in_flight
        """Batches under way at once; may be changed at any time."""
        self._answer = answer
        self._settings = settings
        self._patience = patience
        self._drain = drain or DrainRate(patience.clock)
        self._waiting: list[_Waiting[Asked, Answered]] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._company = min(settings.company, settings.max_size)
        self._send_soon: asyncio.Handle | None = None
        self._send_anyway: asyncio.TimerHandle | None = None

    @property
    def n_waiting(self) -> int:
        """Requests that are in no batch yet."""
        return len(self._waiting)

    async def ask(self, asked: Asked, *, since_s: float | None = None) -> Answered:
        """Return the answer to one request.

        Args:
            asked: the request.
            since_s: when it began to wait, on the clock of its patience; None: now.

        Raises:
            OverloadedError: too many are waiting, or it has waited for too long.
        """
        if len(self._waiting) >= self._patience.max_waiting:
            raise OverloadedError("router", FULL)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answered] = loop.create_future()
        began_s = self._patience.clock() if since_s is None else since_s
        self._waiting.append(_Waiting(asked, future, began_s))
        self._plan(loop)
        return await future

    def _plan(self, loop: asyncio.AbstractEventLoop) -> None:
        """Send soon, together with what else arrives in this turn of the loop, or once there is company."""
        if self._is_worth_it(self._company):
            if self._send_soon is None:
                self._send_soon = loop.call_soon(self._send, self._company)
        elif self._send_anyway is None and len(self._under_way) < self.max_in_flight:
            self._send_anyway = loop.call_later(self._settings.linger_s, self._send, 1)

    def _is_worth_it(self, company: int) -> bool:
        """Return whether to send now: beside others under way, a batch is of so many at least."""
        if not self._under_way:
            return True
        return len(self._under_way) < self.max_in_flight and len(self._waiting) >= company

    def _send(self, company: int) -> None:
        for planned in (self._send_soon, self._send_anyway):
            if planned is not None:
                planned.cancel()
        self._send_soon = self._send_anyway = None
        while self._waiting and self._is_worth_it(company):
            size = self._size()
            self._drop_in_vain(size)
            batch, self._waiting = self._waiting[:size], self._waiting[size:]
            if batch:
                BATCH_WAIT_SECONDS.observe(self._patience.clock() - batch[0].since_s)
                # A context of its own: Serve cancels what it finds in the context of a client that hangs up.
                task = asyncio.get_running_loop().create_task(self._run(batch), context=contextvars.Context())
                self._under_way.add(task)
                task.add_done_callback(self._ended)

    def _size(self) -> int:
        """Return how many the next batch may hold: as many as are answered within its time.

        On a machine that is slower than usual, batches of full size would miss the deadlines of the stages.
        """
        settings = self._settings
        in_time = int(self._drain.per_s * settings.max_s / self.max_in_flight)
        return min(settings.max_size, max(_LEAST, in_time)) if self._drain.per_s else settings.max_size

    def _drop_in_vain(self, size: int) -> None:
        """Drop who has gone, and refuse who is late as long as they would take the place of others."""
        self._waiting = [one for one in self._waiting if not one.future.done()]
        latest_s = self._patience.clock() - self._patience.max_wait_s
        n_late = sum(one.since_s < latest_s for one in self._waiting)
        n_refused = min(n_late, len(self._waiting) - size)
        if n_refused <= 0:
            return
        self._waiting.sort(key=_since_s)  # nearly sorted already
        for one in self._waiting[:n_refused]:
            one.future.set_exception(OverloadedError("router", LATE))
        del self._waiting[:n_refused]

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._under_way.discard(task)
        if self._waiting:
            self._send(self._company)
        if self._waiting:
            self._plan(task.get_loop())

    async def _run(self, batch: "list[_Waiting[Asked, Answered]]") -> None:
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
            # Who waits for company, not for a place, says nothing of how fast others are answered.
            no_place = len(self._under_way) >= self.max_in_flight
            self._drain.answered(len(batch), waiting=len(self._waiting) if no_place else 0)
