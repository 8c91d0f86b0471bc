"""What every transport must do, against a real server."""

import asyncio
import socket
import time
from collections.abc import Callable, Sequence

import pytest

from loadtest.transports.exchange import Exchange, Failure, Request
from loadtest.transports.kinds import TRANSPORTS, transport_named
from loadtest.transports.target import Limits, target_of
from recsys.core.errors import NotFoundError
from tests.loadtest.conftest import CLOSE, RESET, Asked, ScriptedServer, Step, answer, serving

QUICK = Limits(timeout_s=0.4, connect_timeout_s=0.4)
ROOMY = Limits(timeout_s=20)


def asked_of(name: str, url: str, requests: Sequence[Request], limits: Limits = ROOMY) -> list[Exchange]:
    """Ask one after the other; return the exchanges as they ended."""

    async def run() -> list[Exchange]:
        ended: asyncio.Queue[Exchange] = asyncio.Queue()
        transport = transport_named(name)(target_of(url), limits, done=ended.put_nowait, clock=time.monotonic)
        found = []
        for request in requests:
            now_s = time.monotonic()
            transport.send(Exchange(request, now_s, now_s))
            assert ended.empty()  # never told from within send
            found.append(await asyncio.wait_for(ended.get(), 30))
        await transport.close()
        return found

    return asyncio.run(run())


def together(name: str, url: str, n: int, limits: Limits) -> tuple[list[Exchange], int]:
    """Ask ``n`` times at once; return the exchanges and how many waited for a connection at first."""

    async def run() -> tuple[list[Exchange], int]:
        ended: asyncio.Queue[Exchange] = asyncio.Queue()
        transport = transport_named(name)(target_of(url), limits, done=ended.put_nowait, clock=time.monotonic)
        for _ in range(n):
            transport.send(Exchange(GET, time.monotonic(), time.monotonic()))
        await asyncio.sleep(0.15)
        waiting = transport.waiting()
        found = [await asyncio.wait_for(ended.get(), 30) for _ in range(n)]
        await transport.close()
        return found, waiting

    return asyncio.run(run())


def script_of(*steps: Step) -> Callable[[Asked], Sequence[Step]]:
    return lambda asked: steps


GET = Request("popular", "GET", "/popular?top_n=3")
POST = Request("recommend", "POST", "/recommend", b'{"top_n":3}')


@pytest.mark.parametrize("name", sorted(TRANSPORTS))
class TestEveryTransport:
    def test_sends_what_is_asked_and_gives_back_what_is_answered(self, name: str) -> None:
        with serving(script_of(answer(b'{"items":[]}'))) as server:
            got, posted = asked_of(name, server.url, [GET, POST])
        assert [(asked.method, asked.path, asked.body) for asked in server.asked] == [
            ("GET", "/popular?top_n=3", b""),
            ("POST", "/recommend", b'{"top_n":3}'),
        ]
        assert "content-type: application/json" in server.asked[1].head.lower()
        assert f"host: 127.0.0.1:{server.port}" in server.asked[0].head.lower()
        for exchange in (got, posted):
            assert (exchange.status, exchange.body, exchange.failure) == (200, b'{"items":[]}', None)
            assert exchange.due_s <= exchange.dispatched_s <= exchange.sent_s <= exchange.finished_s

    def test_puts_the_prefix_and_the_headers_of_the_target_before_every_request(self, name: str) -> None:
        async def run(server: ScriptedServer) -> None:
            ended: asyncio.Queue[Exchange] = asyncio.Queue()
            target = target_of(f"{server.url}/v1/", (("X-Api-Key", "k1"),))
            transport = transport_named(name)(target, ROOMY, done=ended.put_nowait, clock=time.monotonic)
            transport.send(Exchange(POST, 0.0, 0.0))
            await ended.get()
            await transport.close()

        with serving(script_of(answer())) as server:
            asyncio.run(run(server))
        assert server.asked[0].path == "/v1/recommend"
        assert "x-api-key: k1" in server.asked[0].head.lower()

    def test_keeps_its_connection(self, name: str) -> None:
        with serving(script_of(answer())) as server:
            asked_of(name, server.url, [GET] * 5)
        assert server.n_connections == 1

    def test_takes_a_new_connection_after_the_server_said_close(self, name: str) -> None:
        with serving(script_of(answer(b"{}", "200 OK", "Connection: close"), CLOSE)) as server:
            found = asked_of(name, server.url, [GET] * 3)
        assert [exchange.status for exchange in found] == [200, 200, 200]
        assert server.n_connections == 3

    def test_reads_chunks(self, name: str) -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        pieces = (head, 0.02, b"3\r\nabc\r", 0.02, b"\n2;x=y\r\nde\r\n", 0.02, b"0\r\n\r\n")
        with serving(script_of(*pieces)) as server:
            found = asked_of(name, server.url, [GET, GET])
        assert [exchange.body for exchange in found] == [b"abcde", b"abcde"]
        assert server.n_connections == 1

    def test_waits_for_a_slow_body(self, name: str) -> None:
        with serving(script_of(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na", 0.1, b"bcd")) as server:
            (exchange,) = asked_of(name, server.url, [GET])
        assert exchange.body == b"abcd"
        assert exchange.finished_s - exchange.sent_s >= 0.1

    def test_reads_a_body_that_lasts_until_the_connection_ends(self, name: str) -> None:
        with serving(script_of(b"HTTP/1.1 200 OK\r\n\r\nall of it", CLOSE)) as server:
            (exchange,) = asked_of(name, server.url, [GET])
        assert (exchange.status, exchange.body, exchange.failure) == (200, b"all of it", None)

    def test_says_whether_a_refusal_names_a_time_to_come_back(self, name: str) -> None:
        answers = {
            "/a": answer(b"", "503 Service Unavailable", "Retry-After: 1"),
            "/b": answer(b"", "503 Busy"),
        }
        with serving(lambda asked: [answers[asked.path]]) as server:
            found = asked_of(name, server.url, [Request("x", "GET", "/a"), Request("x", "GET", "/b")])
        assert [(exchange.status, exchange.retry_after) for exchange in found] == [(503, True), (503, False)]

    def test_says_whether_an_answer_came_from_a_cache(self, name: str) -> None:
        answers = {"/a": answer(b"", "200 OK", "X-Cache: hit"), "/b": answer(b"", "200 OK", "X-Cache: miss")}
        with serving(lambda asked: [answers[asked.path]]) as server:
            found = asked_of(name, server.url, [Request("x", "GET", "/a"), Request("x", "GET", "/b")])
        assert [exchange.from_cache for exchange in found] == [True, False]

    @pytest.mark.parametrize(
        ("steps", "failure"),
        [
            ((CLOSE,), Failure.CLOSED),
            ((RESET,), Failure.CLOSED),
            ((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", CLOSE), Failure.CLOSED),
            ((b"hello, who is there?\r\n\r\n",), Failure.PROTOCOL),
            ((b"HTTP/1.1 200 OK\r\nContent-Length: four\r\n\r\nabcd",), Failure.PROTOCOL),
            ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",), Failure.PROTOCOL),
            ((5.0,), Failure.TIMEOUT),
            ((b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na", 5.0), Failure.TIMEOUT),
        ],
    )
    def test_calls_a_failure_by_its_name_and_goes_on(
        self, name: str, steps: Sequence[Step], failure: Failure
    ) -> None:
        with serving(lambda asked: [answer()] if asked.path == "/good" else steps) as server:
            good = Request("x", "GET", "/good")
            first, bad, last = asked_of(name, server.url, [good, GET, good], QUICK)
        assert (bad.failure, bad.status) == (failure, 0)
        assert bad.detail
        assert [(exchange.status, exchange.failure) for exchange in (first, last)] == [(200, None)] * 2

    def test_says_that_nobody_listens(self, name: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            (exchange,) = asked_of(name, f"http://127.0.0.1:{free.getsockname()[1]}", [GET])
        assert exchange.failure is Failure.CONNECT

    def test_never_has_more_connections_than_allowed_and_lets_the_others_wait(self, name: str) -> None:
        with serving(script_of(0.3, answer())) as server:
            found, waiting = together(name, server.url, 6, Limits(connections=2, timeout_s=20))
        assert server.n_connections == 2
        assert waiting == 4
        assert [exchange.status for exchange in found] == [200] * 6
        assert sum(exchange.sent_s - exchange.dispatched_s > 0.2 for exchange in found) == 4

    def test_who_waits_too_long_for_a_connection_has_run_out_of_time(self, name: str) -> None:
        with serving(script_of(0.6, answer())) as server:
            found, _ = together(name, server.url, 2, Limits(connections=1, timeout_s=0.4))
        assert [exchange.failure for exchange in found] == [Failure.TIMEOUT] * 2

    def test_does_not_mistake_a_late_answer_for_that_of_the_next_request(self, name: str) -> None:
        late = Request("x", "GET", "/late")
        with serving(
            lambda asked: [0.6, answer(b"late")] if asked.path == "/late" else [0.5, answer(b"own")]
        ) as server:
            slow, own = asked_of(name, server.url, [late, GET], Limits(timeout_s=0.55))
        assert slow.failure is Failure.TIMEOUT
        assert own.body == b"own"


def test_an_unknown_transport_is_named_with_those_there_are() -> None:
    with pytest.raises(NotFoundError, match="no transport named 'curl'; there are: httpx, lean"):
        transport_named("curl")
