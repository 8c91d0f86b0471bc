import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import orjson
import pytest

from loadtest.engine.plan import Plan
from loadtest.engine.result import Result, WorkerReport
from loadtest.engine.session import Run
from loadtest.marks.grammar import parse_marks
from loadtest.measure.histogram import Histogram
from loadtest.measure.tally import Cell, Key, Tally
from loadtest.profiles.settings import ConstantProfile
from loadtest.reports.build import report_of
from loadtest.reports.document import Report
from loadtest.server_view.view import ServerView, Spread

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


SPREAD = Spread(n=200, mean=0.005, p50=0.004, p99=0.02)


@pytest.fixture
def run() -> Run:
    """Return a run of 200 requests in 4 s written down by hand: two arms, ten failures."""
    tally = Tally()
    for block in range(4):
        for arm, latency_s in (("control", 0.010), ("candidate", 0.020)):
            latencies = Histogram.of([latency_s] * 20)
            tally.cells[Key(block, "recommend", arm, "known")] = Cell(latencies, latencies, n_good=20)
        tally.cells[Key(block, "popular", "", "")] = Cell(
            Histogram.of([0.002] * 7),
            Histogram.of([0.002] * 7),
            n_good=7,
            n_shed=1,
            failures={"status 500": 2},
        )
    tally.lateness = Histogram.of([0.0001] * 200)
    tally.examples["status 500"] = "<script>alert(1)</script>"
    worker = WorkerReport(0, elapsed_s=4.0, cpu_s=1.0, lag=Histogram.of([0.001]))
    result = Result("open loop, constant 50/s for 4 s", tally, (worker,), started_unix_s=1.7e9)
    server = ServerView(
        span_s=4.0,
        requests_per_s=50.0,
        shed=4,
        statuses={"recommend 200": 160},
        routes={"recommend": SPREAD},
        stages={"recall": SPREAD, "ranking": SPREAD},
        batch_size=Spread(n=40, mean=5.0, p50=4.0, p99=8.0),
        degraded={},
        cache_hits=None,
        cache_misses=None,
        others={},
        moments=(),
    )
    plan = Plan(profile=ConstantProfile(rate_per_s=50, duration_s=4))
    return Run(plan, "http://service:8000", result, None, server)


@pytest.fixture
def report(run: Run) -> Report:
    """Return its report, one mark of which fails."""
    return report_of(run, parse_marks("p99<50ms, errors=0"), command="marquee loadtest run")
