import asyncio
import time
from collections.abc import Callable

from loadtest.bench.client import Outcome, drive, post

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"degraded":[]}'
DEGRADED = b'HTTP/1.1 200 OK\r\ncontent-length: 31\r\n\r\n{"degraded":[{"stage":"state"}]}'[:-1]
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"


def driven(answer: Callable[[int], bytes | None], connections: int = 4) -> tuple[Outcome, int]:
    """Drive a server that gives ``answer`` of each request's number; None closes the connection."""
    n_asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal n_asked
        while not reader.at_eof():
            try:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(2)
            except asyncio.IncompleteReadError:
                break
            n_asked += 1
            given = answer(n_asked)
            if given is None:
                break
            writer.write(given)
        writer.close()

    async def run() -> Outcome:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            return await drive(
                "127.0.0.1",
                port,
                [post("/recommend", b"{}")],
                connections=connections,
                duration_s=0.15,
                clock=time.perf_counter,
            )

    return asyncio.run(run()), n_asked


def test_every_request_is_a_latency_or_a_failure() -> None:
    outcome, n_asked = driven(lambda number: BROKEN if number % 3 == 0 else OK)
    assert len(outcome.latencies_s) + len(outcome.failures) == n_asked
    assert set(outcome.failures) == {"status 500"}
    assert outcome.per_s > 0


def test_degraded_answers_are_counted() -> None:
    outcome, n_asked = driven(lambda _: DEGRADED)
    assert outcome.degraded == n_asked > 0


def test_a_connection_that_breaks_is_a_failure_and_the_next_request_gets_a_new_one() -> None:
    outcome, _ = driven(lambda number: None if number == 2 else OK, connections=1)
    assert outcome.failures == ["IncompleteReadError"]
    assert len(outcome.latencies_s) > 1


def test_a_server_that_is_not_there_is_a_failure_too() -> None:
    async def run() -> Outcome:
        return await drive(
            "127.0.0.1", 1, [post("/", b"")], connections=1, duration_s=0.05, clock=time.perf_counter
        )

    assert set(asyncio.run(run()).failures) == {"ConnectionRefusedError"}
