import random
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from deployments.admission import rooms_of
from deployments.client_rates import ClientRates
from deployments.drain import DrainRate
from deployments.edge import OVERLOADED, RATE_HEADERS
from deployments.gate import Gate, Inside, Refused
from deployments.overload_settings import OverloadSettings, Rate, RateLimits, WhenFull

NOW_S = 1_700_000_000.0
TIGHT = OverloadSettings(max_recommends=1, max_events=1, max_reads=1, max_probes=1, max_large_bodies=1)
PATHS = {
    "recommend": ["/recommend", "/v1/recommend/ada", "/similar/i1", "/v1/similar/i1"],
    "events": ["/events", "/users/ada"],
    "reads": ["/popular", "/v1/items/i1", "/docs", "/", "/nowhere", "/v1"],
    "probes": ["/healthz", "/v1/readyz", "/metrics"],
}


def gate(settings: OverloadSettings = TIGHT, rates: RateLimits | None = None) -> Gate:
    limits = None if rates is None else ClientRates(rates, lambda: 0.0)
    rooms = rooms_of(settings, DrainRate(lambda: 0.0))
    return Gate(rooms, limits, settings, clock=lambda: 0.0, unix_clock=lambda: NOW_S, chance=random.Random(0))


def scope(path: str, headers: Mapping[bytes, bytes] = {}) -> dict[str, Any]:
    return {"type": "http", "path": path, "headers": list(headers.items()), "client": ("1.1.1.1", 5)}


def answer(refused: Refused | Inside) -> tuple[int, dict[str, str], dict[str, Any]]:
    assert isinstance(refused, Refused)
    head, _, body = refused.answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert int(headers["content-length"]) == len(body)
    return int(first.split()[1]), headers, orjson.loads(body)


@pytest.mark.parametrize("full", PATHS)
def test_a_full_room_refuses_its_own_kind_and_no_other(full: str) -> None:
    door = gate()
    inside = door.judge(scope(PATHS[full][0]))
    assert isinstance(inside, Inside)
    for kind, paths in PATHS.items():
        for path in paths:
            verdict = door.judge(scope(path))
            assert isinstance(verdict, Refused) == (kind == full), path
            if isinstance(verdict, Inside):
                verdict.leave()
    inside.leave()
    inside.leave()  # once is enough
    assert isinstance(door.judge(scope(PATHS[full][0])), Inside)
    assert isinstance(door.judge(scope(PATHS[full][0])), Refused)


def test_what_haproxy_asks_of_serve_is_never_refused() -> None:
    door = gate()
    assert all(isinstance(door.judge(scope("/-/healthz")), Inside) for _ in range(1_000))


def test_a_refusal_is_a_problem_document_with_the_request_id_and_retry_after() -> None:
    door = gate()
    door.judge(scope("/recommend"))
    status, headers, document = answer(door.judge(scope("/recommend", {b"x-request-id": b"abc"})))
    assert status == document["status"] == 503
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-request-id"] == document["request_id"] == "abc"
    assert set(document) == {"type", "title", "status", "detail", "request_id", "errors"}


def test_clients_refused_at_the_same_moment_come_back_at_different_ones() -> None:
    door = gate()
    door.judge(scope("/recommend"))
    after_s = {answer(door.judge(scope("/recommend")))[1]["retry-after"] for _ in range(100)}
    assert after_s == {"1", "2", "3", "4"}


@pytest.mark.parametrize(
    "headers", [{b"content-length": b"65537"}, {b"transfer-encoding": b"chunked"}, {b"content-length": b"x"}]
)
def test_only_so_many_bodies_come_in_pieces_at_once(headers: dict[bytes, bytes]) -> None:
    door = gate(TIGHT.model_copy(update={"max_events": 10}))
    first = door.judge(scope("/events", headers))
    assert answer(door.judge(scope("/events", headers)))[0] == 503
    assert isinstance(door.judge(scope("/events", {b"content-length": b"65536"})), Inside)
    assert isinstance(first, Inside)
    first.leave()
    assert isinstance(door.judge(scope("/events", headers)), Inside)


def test_with_the_policy_popular_some_go_on_to_the_popular_list_and_the_rest_is_shed() -> None:
    settings = OverloadSettings(max_recommends=1, when_full=WhenFull.POPULAR, popular_per_s=30.0)
    door = gate(settings)
    door.judge(scope("/recommend"))
    scopes = [scope("/recommend") for _ in range(5)]
    verdicts = [door.judge(one) for one in scopes]
    assert [isinstance(verdict, Inside) for verdict in verdicts] == [True, True, True, False, False]
    assert [OVERLOADED in one for one in scopes] == [True, True, True, False, False]


def test_a_client_that_asks_too_often_is_told_when_to_come_back_but_may_look_whether_we_live() -> None:
    door = gate(OverloadSettings(), RateLimits(no_key=Rate(per_s=0.25, burst=1)))
    first = scope("/recommend")
    assert isinstance(door.judge(first), Inside)
    assert first[RATE_HEADERS] == [
        (b"ratelimit-policy", b'"no-key";q=1;w=4'),
        (b"ratelimit", b'"no-key";r=0;t=4'),
    ]
    status, headers, document = answer(door.judge(scope("/recommend")))
    assert status == document["status"] == 429
    assert headers["retry-after"] == "4"
    assert headers["ratelimit"] == '"no-key";r=0;t=4'
    assert isinstance(door.judge(scope("/healthz")), Inside)


@pytest.mark.parametrize(
    ("arrived_ms", "refused"),
    [
        (b"1699999999501", False),
        (b"1699999999499", True),  # it has waited for 0.501 s already
        (b"1700000009000", False),  # HAProxy's clock is ahead
        (b"1600000000000", False),  # nobody waits for years
        (b"-5", False),
        (b"9" * 400, False),
    ],
)
def test_a_request_that_was_too_long_on_its_way_is_refused(arrived_ms: bytes, *, refused: bool) -> None:
    door = gate(OverloadSettings(max_wait_s=0.5))
    assert isinstance(door.judge(scope("/recommend", {b"x-arrived-ms": b"1699999990000"})), Inside)  # alone
    verdict = door.judge(scope("/recommend", {b"x-arrived-ms": arrived_ms}))
    assert isinstance(verdict, Refused) == refused
    event = gate(OverloadSettings()).judge(scope("/events", {b"x-arrived-ms": arrived_ms}))
    assert isinstance(event, Inside)
