"""Clients that are slow, silent, huge or gone, all at once, against the real graph behind HAProxy."""

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import httpx
import pytest

pytestmark = pytest.mark.serve

N_EACH = 100
N_IDLE = 2_000
GIVE_UP_S = 60.0
CLOSED = 0  # instead of a status: the connection ended without an answer
OURS = b"POST /recommend HTTP/1.1\r\nHost: h\r\n"


class Graph(Protocol):
    address: str


class Serving(Protocol):
    """What the fixture makes: a running graph."""

    graph: Graph
    port: int


@dataclass
class Siege:
    """What became of every attack, and of everybody else meanwhile."""

    ended: dict[str, Counter[int]] = field(default_factory=dict)  # attack -> status it was ended with
    answered: Counter[int] = field(default_factory=Counter)  # status of normal requests during it
    sent_bytes: Counter[str] = field(default_factory=Counter)


async def ending(reader: asyncio.StreamReader) -> int:
    """Wait for the end of a connection; return the status of the first answer, if one came."""
    with suppress(OSError, asyncio.TimeoutError):
        async with asyncio.timeout(GIVE_UP_S):
            line = await reader.readline()
            return int(line.split()[1]) if line else CLOSED
    return CLOSED


def dribbling(head: bytes) -> Callable[[int], Awaitable[int]]:
    """Send a beginning, then a byte each second."""

    async def attack(port: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        end = asyncio.create_task(ending(reader))
        while not end.done():
            with suppress(OSError):
                writer.write(b"a")
            await asyncio.wait([end], timeout=1.0)
        writer.close()
        return await end

    return attack


def silent(head: bytes) -> Callable[[int], Awaitable[int]]:
    """Send a beginning, then nothing, as if the cable had been pulled out."""

    async def attack(port: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        end = await ending(reader)
        writer.close()
        return end

    return attack


async def hanging_up(port: int) -> int:
    """Ask, and be gone before the answer is there."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(OURS + b"Content-Length: 2\r\n\r\n{}")
    await asyncio.sleep(0)
    writer.transport.abort()
    return CLOSED


async def deaf(port: int) -> int:
    """Ask for a lot and never read any of it."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        one.connect(("127.0.0.1", port))
        one.setblocking(False)
        with suppress(BlockingIOError):
            one.send(b"GET /popular?top_n=100 HTTP/1.1\r\nHost: h\r\n\r\n" * 200)
        await asyncio.sleep(10.0)
    return CLOSED


ATTACKS: dict[str, tuple[int, Callable[[int], Awaitable[int]], set[int]]] = {
    "a slow head": (N_EACH, dribbling(OURS + b"X-Slow: "), {408}),
    "a slow body": (N_EACH, dribbling(OURS + b"Content-Length: 1000\r\n\r\n{"), {408}),
    "a slow body in chunks": (N_EACH, dribbling(OURS + b"Transfer-Encoding: chunked\r\n\r\n"), {408, 400}),
    "a slow large body": (
        N_EACH,
        dribbling(OURS + b"Content-Length: 900000\r\n\r\n" + b" " * 100_000),
        {408, 503},
    ),
    "half a request and silence": (N_EACH, silent(OURS), {408}),
    "idle": (N_IDLE, silent(b""), {408, CLOSED}),
    "hanging up": (N_EACH, hanging_up, {CLOSED}),
    "deaf": (N_EACH, deaf, {CLOSED}),
    "a huge head": (5, silent(OURS + b"X-Huge: " + b"a" * 1_000_000 + b"\r\n\r\n"), {400, CLOSED}),
    "thousands of headers": (5, silent(OURS + b"X-Many: 1\r\n" * 10_000 + b"\r\n"), {400, CLOSED}),
}


@pytest.fixture(scope="module")
def siege(serving: Serving) -> Siege:
    """Let all attacks run at the same time, and ask in between as a normal client does."""
    siege = Siege()

    async def all_attacks() -> None:
        async def one_kind(name: str) -> None:
            n, attack, _ = ATTACKS[name]
            siege.ended[name] = Counter(await asyncio.gather(*(attack(serving.port) for _ in range(n))))

        await asyncio.gather(*(one_kind(name) for name in ATTACKS))

    attacking = threading.Thread(target=lambda: asyncio.run(all_attacks()))
    attacking.start()
    with httpx.Client(base_url=serving.graph.address, timeout=30.0) as client:
        number = 0
        while attacking.is_alive():
            number += 1
            siege.answered[client.post("/recommend", json={"user_id": f"u{number}"}).status_code] += 1
            siege.answered[client.get("/healthz").status_code] += 1
            time.sleep(0.05)
    attacking.join()
    return siege


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_attack_is_ended_by_us(siege: Siege, attack: str) -> None:
    n, _, allowed = ATTACKS[attack]
    assert siege.ended[attack].total() == n
    assert set(siege.ended[attack]) <= allowed


def test_meanwhile_everybody_else_is_answered(siege: Siege) -> None:
    assert set(siege.answered) == {200}, siege.answered
    assert siege.answered[200] > 40


def pieces() -> Iterator[bytes]:
    for _ in range(800):
        yield b" " * 65_536


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "in chunks"])
def test_fifty_megabytes_are_refused_before_they_are_read(serving: Serving, *, chunked: bool) -> None:
    size = 800 * 65_536
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size
    sent = 0
    with socket.create_connection(("127.0.0.1", serving.port)) as client:
        client.settimeout(20.0)
        client.sendall(OURS + framing + b"\r\n\r\n")
        with suppress(ConnectionError):  # closed while we are still sending
            for piece in pieces():
                client.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                sent += len(piece)
        with suppress(ConnectionError):
            assert client.recv(4_096).startswith(b"HTTP/1.1 413 ")
    assert sent < size


def test_nobody_is_left_inside_when_it_is_over(siege: Siege, serving: Serving) -> None:
    assert siege.ended
    with httpx.Client(base_url=serving.graph.address, timeout=30.0) as client:
        assert client.post("/recommend", json={}).json()["degraded"] == []
        time.sleep(2.0)  # every router shows what it holds twice a second
        figures = client.get("/metrics").text
    inside = [line for line in figures.splitlines() if line.startswith("marquee_inside{")]
    assert sorted(line.partition("{")[2] for line in inside) == [
        'kind="events"} 0.0',
        'kind="large-bodies"} 0.0',
        'kind="probes"} 1.0',  # the one that asked for this
        'kind="reads"} 0.0',
        'kind="recommend"} 0.0',
    ]
