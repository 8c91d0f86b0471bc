import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import orjson
import pytest

CLOSE = "close"
RESET = "reset"
Step = bytes | float | str
"""Bytes are written, numbers are seconds to wait, CLOSE and RESET end the connection."""


def answer(body: bytes = b"{}", status: str = "200 OK", *fields: str) -> bytes:
    """Return a whole answer with a Content-Length."""
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields))
    return head.encode() + b"\r\n" + body


def list_of(*item_ids: str, arm: str = "stable", bundle: str = "b1", degraded: bool = False) -> bytes:
    """Return the body of a list as the service writes it."""
    missing = [{"stage": "state", "why": "late"}] if degraded else []
    items = [{"item_id": item_id, "position": n} for n, item_id in enumerate(item_ids, 1)]
    named = {"request_id": "r1", "items": items, "arm": arm, "bundle": bundle, "cursor": None}
    return orjson.dumps({**named, "degraded": missing})


@dataclass(slots=True)
class Asked:
    """One request as the server got it."""

    method: str
    path: str
    head: str
    body: bytes
    connection: int
    """Number of the connection, from 0."""
    at_s: float = 0.0


@dataclass(slots=True)
class ScriptedServer:
    """A real HTTP server in a thread of its own; ``script`` says what becomes of each request."""

    script: Callable[[Asked], Sequence[Step]]
    asked: list[Asked] = field(default_factory=list)
    n_connections: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = self.n_connections
        self.n_connections += 1
        try:
            while asked := await read_request(reader, number):
                self.asked.append(asked)
                for step in self.script(asked):
                    if isinstance(step, bytes):
                        writer.write(step)
                        await writer.drain()
                    elif isinstance(step, str):
                        if step == RESET:
                            linger = struct.pack("ii", 1, 0)  # closing then sends a reset
                            writer.get_extra_info("socket").setsockopt(
                                socket.SOL_SOCKET, socket.SO_LINGER, linger
                            )
                        return
                    else:
                        await asyncio.sleep(step)
        except ConnectionError:
            pass
        finally:
            writer.transport.abort() if writer.transport.is_closing() else writer.close()


async def read_request(reader: asyncio.StreamReader, number: int) -> Asked | None:
    """Return the next request of a connection; None at its end."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return None
    line, _, fields = head.partition("\r\n")
    method, path, _ = line.split()
    length = fields.lower().partition("content-length:")[2].partition("\r\n")[0]
    body = await reader.readexactly(int(length or 0))
    return Asked(method, path, head, body, number, asyncio.get_running_loop().time())


@contextmanager
def serving(script: Callable[[Asked], Sequence[Step]]) -> Iterator[ScriptedServer]:
    """Run a scripted server; its end is waited for."""
    server = ScriptedServer(script)
    started = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def run() -> None:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, backlog=512)
        server.port = listening.sockets[0].getsockname()[1]
        started.set()
        await stop.wait()
        listening.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)

    def turn() -> None:
        loop.run_until_complete(run())
        loop.close()

    thread = threading.Thread(target=turn, daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def serve() -> Callable[..., object]:
    """Return what runs a scripted server."""
    return serving
