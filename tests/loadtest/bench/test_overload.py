"""The overload benchmark: what counts as good, when a service is back, and a drive of a small server."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from loadtest.bench.overload import Course, Fate, Level, OpenDrive, Spike, fate_of, recovery_s
from loadtest.bench.overload_report import Found, plot, summary, table
from loadtest.engine.run import post
from loadtest.transports.exchange import Exchange, Failure
from recsys.core.clock import monotonic_clock

LIST = b'{"items":[],"arm":"a","bundle":"b","cursor":null,"degraded":[%b]}'


def ended(status: int, body: bytes = b"", *, retry_after: bool = False) -> Exchange:
    exchange = Exchange(post("recommend", "/recommend", b"{}"), 0.0, 0.0)
    exchange.status, exchange.body, exchange.retry_after = status, body, retry_after
    return exchange


@pytest.mark.parametrize(
    ("exchange", "latency_s", "fate"),
    [
        (ended(200, LIST % b""), 1.0, Fate.GOOD),
        (ended(200, LIST % b""), 1.1, Fate.LATE),
        (ended(200, LIST % b'{"stage":"router","why":"overload"}'), 0.1, Fate.POPULAR),
        (ended(503, retry_after=True), 0.1, Fate.SHED),
        (ended(429, retry_after=True), 0.1, Fate.SHED),
        (ended(503), 0.1, Fate.FAILED),
        (ended(500, retry_after=True), 0.1, Fate.FAILED),
    ],
)
def test_good_is_what_comes_in_full_and_in_time(exchange: Exchange, latency_s: float, fate: Fate) -> None:
    assert fate_of(exchange, latency_s) is fate


def test_a_connection_that_broke_is_a_failure() -> None:
    exchange = ended(0)
    exchange.failure = Failure.CLOSED
    assert fate_of(exchange, 0.1) is Fate.FAILED


def course_of(*fates: Fate, per_s: float = 10.0) -> Course:
    n = len(fates)
    return Course([100.0 + place / per_s for place in range(n)], [0.1] * n, list(fates))


def test_a_service_is_back_when_the_last_bad_block_is_over() -> None:
    good, shed = Fate.GOOD, Fate.SHED
    second = [good] * 10
    assert recovery_s(course_of(*second, *second, *second), 1.0) == 0.0
    assert recovery_s(course_of(*second, *[shed] * 10, *second), 2.0) == 0.0
    assert recovery_s(course_of(*second, *second, *[good] * 7, shed, *[good] * 12), 2.0) == 1.0


def test_the_report_names_the_share_of_goodput_that_is_kept(tmp_path: Path) -> None:
    half, full = course_of(*[Fate.GOOD] * 10), course_of(*[Fate.GOOD] * 9, *[Fate.SHED] * 21)
    levels = [Level(0.5, 1.0, half, 0.1, 0.5, 1.0), Level(3.0, 1.0, full, 0.2, 0.9, 2.0)]
    found = [Found("shed", 10.0, levels, Spike(1.0, 2.0, full))]
    report = summary(found, "a machine")
    assert report["shed"]["goodput_kept_at_the_highest_load"] == 0.9
    assert report["shed"]["failed"] == 0
    assert report["shed"]["tool_kept_up"]
    assert not Found("shed", 10.0, [replace(levels[0], late_ms=51.0)], found[0].spike).tool_kept_up
    console = Console(width=140, record=True)
    console.print(table(found, "a machine"))
    assert "spike" in console.export_text()
    plot(found, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 10_000


@pytest.fixture
def small_server() -> Iterator[str]:
    """Answer with a list, or 503 while more than two requests are under way."""
    loop = asyncio.new_event_loop()
    inside = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal inside
        try:
            while True:
                await reader.readuntil(b"{}")
                if inside >= 2:
                    writer.write(b"HTTP/1.1 503 Busy\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n")
                    continue
                inside += 1
                await asyncio.sleep(0.02)
                inside -= 1
                body = LIST % b""
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    server = loop.run_until_complete(asyncio.start_server(answer, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def end() -> None:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    asyncio.run_coroutine_threadsafe(end(), loop).result(5.0)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_a_server_that_sheds_keeps_its_goodput(small_server: str) -> None:
    drive = OpenDrive(small_server, [post("recommend", "/recommend", b"{}")], monotonic_clock)
    found = drive.level(3.0, 100.0, 1.0, server_cpu=time.process_time)
    assert len(found.course.fates) == 300
    assert set(found.course.fates) == {Fate.GOOD, Fate.SHED}
    spike = drive.spike(20.0, 0.5)
    assert len(spike.course.fates) == 5 + 30 + 10
    assert set(spike.course.fates) <= {Fate.GOOD, Fate.SHED}
