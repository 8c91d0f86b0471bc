"""The gate before a real uvicorn, driven by bytes on a socket."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from deployments.admission import Rooms, rooms_of
from deployments.drain import DrainRate
from deployments.front_door import put_before_uvicorn
from deployments.gate import Gate
from deployments.overload_settings import OverloadSettings

NOW_S = 1_700_000_000.0
ONE = OverloadSettings(max_recommends=1, retry_spread_s=0)
Ask = Callable[[bytes], Awaitable[bytes]]


class Held:
    """An application that keeps what it is asked until it is told to answer."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.asked: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append(scope["path"])
        await self.go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


def gate(rooms: Rooms) -> Gate:
    return Gate(rooms, None, ONE, clock=lambda: 0.0, unix_clock=lambda: NOW_S, chance=random.Random(0))


@pytest.fixture
def rooms() -> Iterator[Rooms]:
    made = rooms_of(ONE, DrainRate(lambda: 0.0))
    take_away = put_before_uvicorn(gate(made))
    yield made
    take_away()


@asynccontextmanager
async def serving(app: Held) -> AsyncIterator[tuple[str, int]]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        config = uvicorn.Config(app, http="httptools", lifespan="off", log_level="critical")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield listening.getsockname()
        finally:
            app.go_on.set()
            server.should_exit = True
            await task


async def read_answers(reader: asyncio.StreamReader, n: int) -> list[tuple[int, bytes]]:
    found = []
    for _ in range(n):
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        found.append((int(head[9:12]), head))
    return found


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what happens in uvicorn, which tells nobody; TimeoutError when it does not happen."""
    async with asyncio.timeout(10.0):
        while not is_so():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


def test_who_finds_no_room_is_answered_at_once_on_a_connection_that_stays_open(rooms: Rooms) -> None:
    async def run() -> None:
        app = Held()
        async with serving(app) as address:
            first_reader, first = await asyncio.open_connection(*address)
            first.write(b"GET /recommend/ada HTTP/1.1\r\nHost: h\r\n\r\n")
            await until(lambda: rooms.recommend.n_inside == 1)
            reader, writer = await asyncio.open_connection(*address)
            body = b"POST /recommend HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n{  }"
            writer.write(body + body)
            refused = await read_answers(reader, 2)
            assert [status for status, _ in refused] == [503, 503]
            assert all(b"\r\nretry-after: 1\r\n" in head for _, head in refused)
            app.go_on.set()
            assert [status for status, _ in await read_answers(first_reader, 1)] == [200]
            await until(lambda: rooms.recommend.n_inside == 0)
            writer.write(body)
            assert [status for status, _ in await read_answers(reader, 1)] == [200]
            for one in (first, writer):
                one.close()
        assert app.asked == ["/recommend/ada", "/recommend"]

    asyncio.run(run())


def test_a_thousand_requests_in_one_pipeline_are_answered_in_order(rooms: Rooms) -> None:
    async def run() -> None:
        app = Held()
        async with serving(app) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"GET /recommend/ada HTTP/1.1\r\nHost: h\r\n\r\n" * 1_000)
            await until(lambda: rooms.recommend.n_inside == 1)
            rooms.recommend.enter()  # somebody else comes: the others in the pipeline will find no room
            app.go_on.set()
            answers = await read_answers(reader, 1_000)
            assert [status for status, _ in answers] == [200] + [503] * 999
            writer.close()

    asyncio.run(run())


@pytest.mark.parametrize("line", [b"HTTP/1.1\r\nConnection: close", b"HTTP/1.0"])
def test_a_client_that_wants_the_connection_closed_gets_that(rooms: Rooms, line: bytes) -> None:
    async def run() -> None:
        app = Held()
        rooms.recommend.enter()
        async with serving(app) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"GET /recommend/ada " + line + b"\r\nHost: h\r\n\r\n")
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n")
            writer.close()

    asyncio.run(run())


def test_a_client_that_hangs_up_leaves_the_room(rooms: Rooms) -> None:
    class Gone(Held):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

    async def run() -> None:
        async with serving(Gone()) as address:
            _, writer = await asyncio.open_connection(*address)
            writer.write(b"GET /recommend/ada HTTP/1.1\r\nHost: h\r\n\r\n")
            await until(lambda: rooms.recommend.n_inside == 1)
            writer.transport.abort()
            await until(lambda: rooms.recommend.n_inside == 0)

    asyncio.run(run())


def test_a_client_that_never_reads_its_answer_takes_nobodys_place(rooms: Rooms) -> None:
    class Flood(Held):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while not self.go_on.is_set():
                await send({"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    async def run() -> None:
        app = Flood()
        async with serving(app) as address:
            with socket.create_connection(address) as deaf:
                deaf.sendall(b"GET /recommend/ada HTTP/1.1\r\nHost: h\r\n\r\n")
                await asyncio.sleep(0.2)  # by now its buffers are full, and the application waits for them
                assert rooms.recommend.n_inside == 0

    asyncio.run(run())


def test_who_is_let_in_goes_straight_to_our_application_and_serves_own_paths_do_not(rooms: Rooms) -> None:
    async def run() -> None:
        ours, serves = Held(), Held()
        ours.go_on.set()
        serves.go_on.set()
        take_away = put_before_uvicorn(gate(rooms), ours)
        async with serving(serves) as address:
            reader, writer = await asyncio.open_connection(*address)
            for path in (b"/recommend/ada", b"/-/healthz", b"/traffic"):
                writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: h\r\n\r\n")
                assert [status for status, _ in await read_answers(reader, 1)] == [200]
            writer.close()
        take_away()
        assert ours.asked == ["/recommend/ada", "/traffic"]
        assert serves.asked == ["/-/healthz"]

    asyncio.run(run())


def test_the_work_for_a_client_that_hangs_up_is_given_up(rooms: Rooms) -> None:
    class Working(Held):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await super().__call__(scope, receive, send)
            except asyncio.CancelledError:
                self.asked.append("given up")
                raise

    async def run() -> None:
        ours = Working()
        take_away = put_before_uvicorn(gate(rooms), ours)
        async with serving(Held()) as address:
            _, writer = await asyncio.open_connection(*address)
            writer.write(b"GET /recommend/ada HTTP/1.1\r\nHost: h\r\n\r\n")
            await until(lambda: ours.asked == ["/recommend/ada"])
            writer.transport.abort()
            await until(lambda: ours.asked == ["/recommend/ada", "given up"])
            await until(lambda: rooms.recommend.n_inside == 0)
        take_away()

    asyncio.run(run())
