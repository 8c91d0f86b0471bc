"""Probes against a server that takes its time to learn what somebody has watched."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import httpx
import orjson
import pytest

from loadtest.bench.effect import Effect, Way, posting, probe
from recsys.core.errors import UnavailableError

IDS = ("a", "b", "c")


class Asked(Protocol):
    path: str
    body: bytes


Serve = Callable[[Callable[[Asked], Sequence[bytes]]], Any]


class Service:
    """Leaves out what somebody has watched, from so many questions after the event on; None: never."""

    def __init__(self, n_late: int | None, ids: tuple[str, ...] = IDS) -> None:
        self.n_late, self.ids = n_late, ids
        self.watched: dict[str, str] = {}
        self.n_asked: Counter[str] = Counter()  # since the event

    def __call__(self, asked: Asked) -> Sequence[bytes]:
        told = orjson.loads(asked.body)
        if asked.path == "/events":
            self.watched[told[0]["user_id"]] = told[0]["item_id"]
            return [http({"results": []}, "202 Accepted")]
        user_id = told["user_id"]
        watched = self.watched.get(user_id)
        self.n_asked[user_id] += watched is not None
        known = watched is not None and self.n_late is not None and self.n_asked[user_id] > self.n_late
        return [http({"items": [{"item_id": one} for one in self.ids if not known or one != watched]})]


def http(told: object, status: str = "200 OK") -> bytes:
    body = orjson.dumps(told)
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def probed(serve: Serve, service: Service, *, side_by_side: int = 1, give_up_s: float = 60.0) -> Effect:
    with serve(service) as server, httpx.Client(base_url=server.url) as client:
        send = posting(client)
        return probe(client, send, Way.FILES, 5, side_by_side=side_by_side, give_up_s=give_up_s)


@pytest.mark.parametrize("n_late", [0, 3])
def test_an_effect_is_seen_in_the_first_answer_without_the_video(n_late: int, serve: Serve) -> None:
    service = Service(n_late)
    found = probed(serve, service)
    assert (found.n_probes, found.n_without_effect) == (5, 0)
    assert set(service.n_asked.values()) == {n_late + 1}
    assert found.p99_ms is not None
    assert found.p50_ms is not None
    assert found.acknowledged_p50_ms is not None
    assert found.p99_ms >= found.p50_ms >= found.acknowledged_p50_ms > 0.0
    assert found.p50_ms >= n_late * 2.0  # it sleeps between two questions


def test_probes_side_by_side_are_as_many(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtest.bench.effect._PAUSE_S", 0.01)
    service = Service(0)
    assert probed(serve, service, side_by_side=3).n_without_effect == 0
    assert len(service.watched) == 5 + 20  # those who warm up


def test_a_video_that_stays_is_counted_and_not_waited_for(serve: Serve) -> None:
    found = probed(serve, Service(None), give_up_s=0.0)
    assert found.n_without_effect == found.n_probes == 5
    assert (found.p50_ms, found.p99_ms) == (None, None)  # JSON knows no NaN


def test_a_service_that_takes_no_event_is_an_error_with_its_words(serve: Serve) -> None:
    def script(asked: Asked) -> Sequence[bytes]:
        full = [http({"detail": "the log is full"}, "503 Service Unavailable")]
        return full if asked.path == "/events" else Service(0)(asked)

    with (
        serve(script) as server,
        httpx.Client(base_url=server.url) as client,
        pytest.raises(UnavailableError, match=r"/events answered .*the log is full"),
    ):
        probe(client, posting(client), Way.FILES, 1)


def test_a_service_without_a_list_is_an_error(serve: Serve) -> None:
    with pytest.raises(UnavailableError, match="no list for effect-"):
        probed(serve, Service(0, ids=()))
