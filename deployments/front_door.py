"""Puts a gate, and behind it our application, before everything else that uvicorn and Ray Serve do.

An application sees a request only after uvicorn has made a task of it and Ray Serve two more; most of what
a refusal costs has been spent by then (docs/overload.md has the figures). So the gate stands where uvicorn
starts the task: a refusal is one write, and nothing else. Who is let in goes straight to our application in
the same process: Ray Serve's own handling of a request, of which nothing is needed here, costs more than ours
(docs/performance.md). Its own paths, ``/-/healthz`` and so on, still go its way.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from deployments.gate import Gate, Inside, Refused

_start_task: Final = HttpToolsProtocol._start_asgi_task
_connection_lost: Final = HttpToolsProtocol.connection_lost
_TASK = "marquee.task"  # in the scope: what is to be cancelled when the client hangs up


def put_before_uvicorn(gate: Gate, straight: ASGIApp | None = None) -> Callable[[], None]:
    """Let a gate judge every request that uvicorn takes in this process; the last gate counts.

    Args:
        gate: lets in or sends away.
        straight: answers those who are let in; None leaves them to uvicorn's application.

    Returns:
        takes it away again.
    """

    def start_task(self: Any, cycle: Any, app: ASGIApp) -> None:  # noqa: ANN401 - uvicorn's own, loosely typed
        verdict = gate.judge(cycle.scope)
        if isinstance(verdict, Refused):
            _refuse(self, cycle, verdict.answer)
            return
        inner = app if straight is None or not verdict.is_ours else abandonable(straight)
        _start_task(self, cycle, counted(inner, verdict))  # type: ignore[arg-type]  # its own ASGI types

    def connection_lost(self: Any, exc: Exception | None) -> None:  # noqa: ANN401 - uvicorn's own
        _connection_lost(self, exc)
        if self.cycle is not None and self.cycle.disconnected:
            task = self.cycle.scope.get(_TASK)
            if task is not None:
                task.cancel()

    HttpToolsProtocol._start_asgi_task = start_task  # type: ignore[method-assign, assignment]
    HttpToolsProtocol.connection_lost = connection_lost  # type: ignore[method-assign]

    def take_away() -> None:
        HttpToolsProtocol._start_asgi_task = _start_task  # type: ignore[method-assign]
        HttpToolsProtocol.connection_lost = _connection_lost  # type: ignore[method-assign]

    return take_away


def abandonable(app: ASGIApp) -> ASGIApp:
    """Return an application that is given up when its client hangs up."""

    async def abandoning(scope: Scope, receive: Receive, send: Send) -> None:
        scope[_TASK] = asyncio.current_task()
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if (await receive())["type"] != "http.disconnect":
                raise  # the router stops

    return abandoning


def counted(app: ASGIApp, inside: Inside) -> ASGIApp:
    """Return an application that leaves its room as soon as it has an answer, or none will come.

    A client that does not read its answer takes nobody's place: the work is done by then.
    """

    async def counting(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_leave(message: Message) -> None:
            inside.leave()
            await send(message)

        try:
            await app(scope, receive, send_and_leave)
        finally:
            inside.leave()

    return counting


def _refuse(protocol: Any, cycle: Any, answer: bytes) -> None:  # noqa: ANN401 - uvicorn's own, loosely typed
    """Answer a request that has no task; what is still to come of its body is read and forgotten."""
    cycle.response_started = cycle.response_complete = True
    if not cycle.keep_alive:
        answer = answer.replace(b"\r\n", b"\r\nconnection: close\r\n", 1)
    protocol.transport.write(answer)
    if not cycle.keep_alive:
        protocol.transport.close()
    if (
        protocol.pipeline
    ):  # later, for it starts the next request from within: thousands may wait in a pipeline
        protocol.loop.call_soon(cycle.on_response)
    else:
        cycle.on_response()
