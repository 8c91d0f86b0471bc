"""Micro-batches: requests that come while others are under way travel on together."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from deployments.settings import BatchSettings

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")


class MicroBatcher(Generic[Asked, Answered]):
    """Sends at once when nothing is under way; gathers while as many batches as allowed are.

    The busier the graph, the larger the batches: one that is idle adds no wait, and one that is
    overloaded saves the most.

    Args:
        answer: answers a batch, in its order. What it raises reaches everyone in the batch.
        settings: sizes and waits.
    """

    def __init__(
        self, answer: Callable[[Sequence[Asked]], Awaitable[Sequence[Answered]]], settings: BatchSettings
    ) -> None:
        self._answer = answer
        self._settings = settings
        self._waiting: list[tuple[Asked, asyncio.Future[Answered]]] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._send_later: asyncio.Handle | None = None

    @property
    def n_waiting(self) -> int:
        """Requests that are in no batch yet."""
        return len(self._waiting)

    async def ask(self, asked: Asked) -> Answered:
        """Return the answer to one request."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answered] = loop.create_future()
        self._waiting.append((asked, future))
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
            size = self._settings.max_size
            batch, self._waiting = self._waiting[:size], self._waiting[size:]
            batch = [(asked, future) for asked, future in batch if not future.done()]  # some gave up waiting
            if batch:
                # A context of its own: Serve cancels what it finds in the context of a client that hangs up.
                task = asyncio.get_running_loop().create_task(self._run(batch), context=contextvars.Context())
                self._under_way.add(task)
                task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._under_way.discard(task)
        if self._waiting:
            self._send()

    async def _run(self, batch: "list[tuple[Asked, asyncio.Future[Answered]]]") -> None:
        try:
            answers = await self._answer([asked for asked, _ in batch])
        except BaseException as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(
                        error if isinstance(error, Exception) else asyncio.CancelledError("the router stops")
                    )
            if not isinstance(error, Exception):
                raise
        else:
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)
