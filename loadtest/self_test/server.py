"""A server that answers every request at once with the same list: what is slow then is the load tester."""

import asyncio
import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import cast

import orjson

from loadtest.engine.event_loops import run_loop
from recsys.core.errors import UnavailableError

_START_LIMIT_S = 60.0


def example_answer(n_items: int = 10) -> bytes:
    """Return the body of a list as the service writes it."""
    items = [
        {"item_id": str(37 * n), "score": 1 / (n + 1), "position": n + 1, "source": "ridge", "reason": None}
        for n in range(n_items)
    ]
    return orjson.dumps(
        {
            "request_id": "0123456789abcdef",
            "items": items,
            "arm": "stable",
            "bundle": "5e1f7e57b0d1e",
            "cursor": "x" * 64,
            "degraded": [],
        }
    )


class _Answering(asyncio.Protocol):
    """Reads no more of a request than where it ends."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._transport: asyncio.Transport | None = None
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._pending += data
        while (end := self._pending.find(b"\r\n\r\n")) >= 0:
            head = self._pending[:end].lower()
            length = head.partition(b"content-length:")[2].partition(b"\r")[0].strip()
            whole = end + 4 + int(length or 0)
            if len(self._pending) < whole:
                return
            self._pending = self._pending[whole:]
            if self._transport is not None:
                self._transport.write(self._answer)


@contextmanager
def trivial_server() -> Iterator[str]:
    """Run the server in a process of its own; yields its address.

    Raises:
        UnavailableError: it did not start.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there,), daemon=True)
    process.start()
    there.close()
    try:
        if not here.poll(_START_LIMIT_S):
            raise UnavailableError("the server of the self-test", f"not up after {_START_LIMIT_S:.0f} s")
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.terminate()
        process.join()


def _serve(end: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    body = example_answer()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    run_loop(_listen(end, head + body))


async def _listen(end: Connection, answer: bytes) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Answering(answer), "127.0.0.1", 0, backlog=1_024)
    end.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()
