"""The real graph, asked for far more than it can do."""

import asyncio
import threading
import time
from collections import Counter
from typing import Protocol

import httpx
import orjson
import pytest

pytestmark = pytest.mark.serve

N_CLIENTS = 1_200
SECONDS = 6.0
BROKEN = 0  # instead of a status: the connection ended before the answer
SECONDS_UNTIL_RECOVERED = 30.0


class Graph(Protocol):
    address: str


class Serving(Protocol):
    """What the fixture makes: a running graph."""

    graph: Graph
    port: int


async def storm(port: int, n_clients: int, seconds: float) -> Counter[tuple[int, bool]]:
    """Ask on many connections, again at once whatever comes; return how often (status, Retry-After?) came."""
    found: Counter[tuple[int, bool]] = Counter()
    end_s = time.monotonic() + seconds

    async def client(number: int) -> None:
        # who excludes something and gives no name is answered afresh, not from the cache
        body = orjson.dumps({"exclude_ids": [f"u{number}"]})
        request = b"POST /recommend HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while time.monotonic() < end_s:
                writer.write(request)
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
                found[int(head[9:12]), b"\r\nretry-after:" in head] += 1
        except asyncio.IncompleteReadError:
            found[BROKEN, False] += 1
        finally:
            writer.close()

    await asyncio.gather(*(client(number) for number in range(n_clients)))
    return found


def test_too_much_is_refused_in_order_while_the_rest_is_answered_and_then_all_is_well(
    serving: Serving,
) -> None:
    found: list[Counter[tuple[int, bool]]] = []
    stormy = threading.Thread(
        target=lambda: found.append(asyncio.run(storm(serving.port, N_CLIENTS, SECONDS)))
    )
    meanwhile: Counter[tuple[str, int]] = Counter()
    stormy.start()
    with httpx.Client(base_url=serving.graph.address, timeout=30.0) as client:
        for number in range(1_000_000):
            if not stormy.is_alive():
                break
            event = {"event_id": f"storm-{number}", "user_id": "storm", "kind": "watch", "item_id": "i000001"}
            meanwhile["/healthz", client.get("/healthz").status_code] += 1
            meanwhile["/readyz", client.get("/readyz").status_code] += 1
            meanwhile["/events", client.post("/events", json=event).status_code] += 1
    [answers] = found
    assert set(answers) == {(200, False), (503, True)}
    assert set(meanwhile) == {("/healthz", 200), ("/readyz", 200), ("/events", 202)}

    with httpx.Client(base_url=serving.graph.address, timeout=30.0) as client:
        give_up_s = time.monotonic() + SECONDS_UNTIL_RECOVERED
        in_full = 0
        while in_full < 20:  # in a row
            answer = client.post("/recommend", json={"exclude_ids": [f"u{in_full}"]})
            in_full = in_full + 1 if answer.status_code == 200 and not answer.json()["degraded"] else 0
            assert time.monotonic() < give_up_s
        figures = client.get("/metrics").text
        assert client.delete("/users/storm").status_code == 200
    assert 'marquee_shed_total{kind="recommend",why="late"}' in figures
