"""The HTTP face on fakes: what good requests get, and what bad ones get."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

import httpx
import orjson
import pytest
from starlette.types import Receive, Scope, Send

from deployments.edge import OVERLOADED, RATE_HEADERS
from deployments.ingress import make_app
from deployments.service import Service
from deployments.settings import Limits
from recsys.eventlog.entry import Entry

NOW_S = 1_000_000.0
POPULAR = ["i3", "i1", "i4"]


class Part(Protocol):
    mood: str


class Stages(Protocol):
    recall: str


class Log(Protocol):
    mood: str
    entries: list[Entry]


class Replica(Protocol):
    """What the fixture makes: a router replica on fakes."""

    service: Service
    stages: Stages
    state: Part
    log: Log


Replicas = Callable[..., Replica]
Body = dict[str, object] | list[object] | bytes


def call(
    replica: Replica,
    method: str,
    path: str,
    body: Body | None = None,
    *,
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    """Send one request to a replica's ASGI application."""

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app=make_app(replica.service))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            content = body if isinstance(body, bytes | None) else orjson.dumps(body)
            return await client.request(method, path, content=content, headers=headers)

    return asyncio.run(run())


def shown(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["item_id"] for item in answer.json()["items"]]


def wrong_fields(answer: httpx.Response) -> list[str]:
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == answer.status_code
    assert document["request_id"] == answer.headers["x-request-id"]
    return [wrong["field"] for wrong in document["errors"]]


@pytest.mark.parametrize("path", ["/recommend", "/v1/recommend"])
def test_every_path_stands_with_and_without_its_version(replica_of: Replicas, path: str) -> None:
    answer = call(replica_of(), "POST", path, {"user_id": "ada", "top_n": 2})
    assert shown(answer) == ["i3", "i4"]
    assert set(answer.json()) == {
        "request_id", "items", "arm", "bundle", "cursor", "degraded", "cached", "override", "experiments",
        "teams", "exploration",
    }  # fmt: skip


def test_ids_may_be_whole_numbers(replica_of: Replicas) -> None:
    answer = call(replica_of(), "POST", "/recommend", {"user_id": 42, "exclude_ids": [1], "session": [7]})
    assert answer.status_code == 200


def test_an_empty_body_asks_for_ten_items_for_anybody(replica_of: Replicas) -> None:
    assert len(shown(call(replica_of(), "POST", "/recommend"))) == 10


def test_a_session_may_mix_ids_and_events(replica_of: Replicas) -> None:
    session = ["i3", {"item_id": "i4", "kind": "skip", "time_s": NOW_S - 5}]
    assert shown(call(replica_of(), "POST", "/recommend", {"session": session, "top_n": 1})) == ["i1"]


def test_plain_text_is_ids_with_commas(replica_of: Replicas) -> None:
    answer = call(replica_of(), "GET", "/recommend/ada?top_n=3", headers={"Accept": "text/plain"})
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text == "i3,i4,i5"


def test_the_next_page_begins_where_the_one_before_ended(replica_of: Replicas) -> None:
    replica = replica_of()
    first = call(replica, "GET", "/popular?top_n=3")
    second = call(replica, "GET", f"/popular?top_n=3&cursor={first.json()['cursor']}")
    assert (shown(first), shown(second)) == (POPULAR, ["i0", "i2", "i5"])


def test_similar_items_do_not_hold_the_item_itself(replica_of: Replicas) -> None:
    answer = call(replica_of(), "GET", "/similar/i3?top_n=2")
    assert shown(answer) == ["i2", "i4"]
    assert answer.json()["degraded"] == []


def test_what_is_similar_to_an_unknown_item_is_what_is_popular(replica_of: Replicas) -> None:
    answer = call(replica_of(), "GET", "/similar/nobody-knows?top_n=3")
    assert shown(answer) == POPULAR
    assert answer.json()["degraded"] == [{"stage": "item", "why": "unknown item"}]


def test_an_item_is_described_and_an_unknown_one_is_not_found(replica_of: Replicas) -> None:
    assert call(replica_of(), "GET", "/items/i2").json()["title"] == "Film 2"
    missing = call(replica_of(), "GET", "/items/i99")
    assert (missing.status_code, wrong_fields(missing)) == (404, [])
    assert "i99" in missing.json()["detail"]


def test_an_event_is_acknowledged_once_and_the_next_answer_knows_it(replica_of: Replicas) -> None:
    replica = replica_of()
    event: Body = {"event_id": "e1", "user_id": "ada", "kind": "watch", "item_id": "i3"}
    taken = [call(replica, "POST", "/events", event) for _ in range(2)]
    assert [answer.status_code for answer in taken] == [202, 202]
    assert [answer.json()["results"][0]["status"] for answer in taken] == ["accepted", "duplicate"]
    assert shown(call(replica, "POST", "/recommend", {"user_id": "ada", "top_n": 1})) == ["i2"]


def test_a_retraction_takes_an_event_back(replica_of: Replicas) -> None:
    replica = replica_of()
    call(replica, "POST", "/events", {"event_id": "e1", "user_id": "a", "kind": "watch", "item_id": "i3"})
    call(
        replica, "POST", "/events", {"event_id": "e2", "user_id": "a", "kind": "retraction", "retracts": "e1"}
    )
    assert shown(call(replica, "POST", "/recommend", {"user_id": "a", "top_n": 1})) == ["i3"]


def test_of_many_events_the_good_ones_are_taken_and_the_bad_ones_named(replica_of: Replicas) -> None:
    replica = replica_of()
    good = {"event_id": "e1", "user_id": "ada", "kind": "like", "item_id": "i1"}
    bad = {"event_id": "e2", "user_id": "ada", "kind": "like"}
    answer = call(replica, "POST", "/events", [good, bad])
    assert answer.status_code == 202
    first, second = answer.json()["results"]
    assert first == {"event_id": "e1", "status": "accepted", "problem": None}
    assert (second["event_id"], second["status"]) == ("e2", "rejected")
    assert "events[1].item_id" in second["problem"]
    assert len(replica.log.entries) == 1


def test_an_event_that_is_not_on_disk_is_not_acknowledged(replica_of: Replicas) -> None:
    replica = replica_of(log="down")
    event: Body = {"event_id": "e1", "user_id": "ada", "kind": "watch", "item_id": "i3"}
    answer = call(replica, "POST", "/events", event)
    assert answer.status_code == 503
    assert 1 <= int(answer.headers["retry-after"]) <= 4
    replica.log.mood = "well"
    assert call(replica, "POST", "/events", event).json()["results"][0]["status"] == "accepted"


def test_an_event_that_the_state_missed_is_applied_when_it_is_back(replica_of: Replicas) -> None:
    replica = replica_of(state="down")
    event: Body = {"event_id": "e1", "user_id": "ada", "kind": "watch", "item_id": "i3"}
    answer = call(replica, "POST", "/events", event)
    assert (answer.status_code, answer.json()["results"][0]["status"]) == (202, "later")
    replica.state.mood = "well"
    asyncio.run(replica.service.intake.catch_up())
    assert replica.service.intake.n_later == 0
    assert shown(call(replica, "POST", "/recommend", {"user_id": "ada", "top_n": 1})) == ["i2"]


def test_a_forgotten_user_is_anybody_and_older_events_stay_out(replica_of: Replicas) -> None:
    replica = replica_of()
    event: dict[str, object] = {"event_id": "e1", "user_id": "ada", "kind": "watch", "item_id": "i3"}
    event["time_s"] = NOW_S - 1
    call(replica, "POST", "/events", event)
    erased = call(replica, "DELETE", "/users/ada")
    assert (erased.status_code, erased.json()["status"]) == (200, "erased")
    assert shown(call(replica, "POST", "/recommend", {"user_id": "ada", "top_n": 1})) == ["i3"]
    again = call(replica, "POST", "/events", {**event, "event_id": "e2"})
    assert again.json()["results"][0]["status"] == "erased"


def test_a_request_id_of_the_client_is_kept_and_a_mad_one_refused(replica_of: Replicas) -> None:
    kept = call(replica_of(), "GET", "/healthz", headers={"X-Request-Id": "abc-1"})
    assert kept.headers["x-request-id"] == "abc-1"
    refused = call(replica_of(), "GET", "/healthz", headers={"X-Request-Id": "a b" * 100})
    assert (refused.status_code, wrong_fields(refused)) == (400, ["X-Request-Id"])
    assert len(call(replica_of(), "GET", "/healthz").headers["x-request-id"]) == 32


def test_a_replica_is_ready_once_recall_and_ranking_hold_the_bundle(replica_of: Replicas) -> None:
    replica = replica_of()
    assert call(replica, "GET", "/readyz").status_code == 503
    asyncio.run(replica.service.traffic.look())
    assert call(replica, "GET", "/readyz").json() == {"status": "ready"}


def test_a_replica_stays_ready_while_its_lane_is_busy_but_not_when_it_is_gone(replica_of: Replicas) -> None:
    replica = replica_of()
    asyncio.run(replica.service.traffic.look())
    replica.stages.recall = "down"
    statuses = []
    for _ in range(7):
        asyncio.run(replica.service.traffic.look())
        statuses.append(call(replica, "GET", "/readyz").status_code)
    assert statuses == [200] * 5 + [503] * 2
    replica.stages.recall = "well"
    asyncio.run(replica.service.traffic.look())
    assert call(replica, "GET", "/readyz").status_code == 200


def test_a_replica_without_a_bundle_lives_but_is_not_ready(replica_of: Replicas) -> None:
    replica = replica_of(loaded=False)
    assert call(replica, "GET", "/healthz").status_code == 200
    for answer in (call(replica, "GET", "/readyz"), call(replica, "POST", "/recommend")):
        assert answer.status_code == 503
        assert wrong_fields(answer) == []


def test_a_refused_bundle_is_named_in_traffic_and_in_the_figures(replica_of: Replicas) -> None:
    replica = replica_of(loaded=False)
    [refused] = call(replica, "GET", "/traffic").json()["refused"]
    assert (refused["lane"], refused["bundle"]) == ("blue", "b" * 16)
    assert "no bundle named" in refused["why"]
    figures = call(replica, "GET", "/metrics").text
    assert f'marquee_bundle_info{{bundle="{"b" * 16}",lane="blue",state="refused"}} 1.0' in figures


def test_requests_are_counted_by_route_and_status(replica_of: Replicas) -> None:
    replica = replica_of()
    call(replica, "POST", "/v1/recommend", {"top_n": 0})
    figures = call(replica, "GET", "/metrics").text
    assert 'marquee_requests_total{route="/recommend",status="422"}' in figures
    assert "marquee_batch_size_bucket" in figures


def test_the_docs_page_needs_nothing_from_elsewhere(replica_of: Replicas) -> None:
    page = call(replica_of(), "GET", "/docs").text
    assert "openapi.json" in page
    assert "http://" not in page
    assert "https://" not in page


def test_the_document_describes_every_call_with_examples(replica_of: Replicas) -> None:
    document = call(replica_of(), "GET", "/openapi.json").json()
    called = {(method, path) for path, calls in document["paths"].items() for method in calls}
    assert called == {
        ("post", "/v1/recommend"),
        ("get", "/v1/recommend/{user_id}"),
        ("get", "/v1/similar/{item_id}"),
        ("get", "/v1/popular"),
        ("get", "/v1/items/{item_id}"),
        ("post", "/v1/events"),
        ("delete", "/v1/users/{user_id}"),
        ("get", "/v1/traffic"),
        ("get", "/v1/healthz"),
        ("get", "/v1/readyz"),
        ("get", "/v1/metrics"),
    }
    for path in ("/v1/recommend", "/v1/events"):
        body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        for example in body["examples"].values():
            assert call(replica_of(), "POST", path, example["value"]).status_code in (200, 202)


NO_ITEM: dict[str, object] = {"event_id": "e", "user_id": "u", "kind": "watch"}
EVENT: dict[str, object] = {**NO_ITEM, "item_id": "i1"}

BAD: list[tuple[str, str, Body, int, Sequence[str]]] = [
    ("a session of numbers with commas", "/recommend", {"session": [1, 1.5]}, 422, ["session[1]"]),
    ("malformed JSON", "/recommend", b'{"user_id": ', 400, ["body"]),
    ("no JSON at all", "/recommend", b"user_id=1", 400, ["body"]),
    ("not UTF-8", "/recommend", b'{"user_id": "\xff"}', 400, ["body"]),
    ("a list", "/recommend", [], 422, ["body"]),
    ("an unknown field", "/recommend", {"users": "1"}, 422, ["users"]),
    ("top_n 0", "/recommend", {"top_n": 0}, 422, ["top_n"]),
    ("top_n 101", "/recommend", {"top_n": 101}, 422, ["top_n"]),
    ("top_n as text", "/recommend", {"top_n": "5"}, 422, ["top_n"]),
    ("top_n true", "/recommend", {"top_n": True}, 422, ["top_n"]),
    ("top_n NaN", "/recommend", b'{"top_n": NaN}', 422, ["top_n"]),
    ("an id that is a list", "/recommend", {"user_id": ["a"]}, 422, ["user_id"]),
    ("an id that is true", "/recommend", {"user_id": True}, 422, ["user_id"]),
    ("an id that is a fraction", "/recommend", {"user_id": 1.5}, 422, ["user_id"]),
    ("an empty id", "/recommend", {"user_id": ""}, 422, ["user_id"]),
    ("an id of 10,000 characters", "/recommend", {"user_id": "x" * 10_000}, 422, ["user_id"]),
    ("a number of 10,000 digits", "/recommend", b'{"user_id": ' + b"9" * 10_000 + b"}", 400, ["body"]),
    ("10,000 exclude_ids", "/recommend", {"exclude_ids": ["a"] * 10_000}, 422, ["exclude_ids"]),
    ("a bad exclude_id", "/recommend", {"exclude_ids": ["a", None]}, 422, ["exclude_ids[1]"]),
    ("a mad cursor", "/recommend", {"cursor": "nonsense"}, 422, ["cursor"]),
    ("an unknown filter", "/recommend", {"filters": {"colour": "red"}}, 422, ["filters.colour"]),
    ("a filter NaN", "/recommend", b'{"filters": {"min_duration_s": NaN}}', 422, ["filters.min_duration_s"]),
    ("variety 2", "/recommend", {"variety": 2}, 422, ["variety"]),
    ("variety infinite", "/recommend", b'{"variety": Infinity}', 422, ["variety"]),
    (
        "a negative time",
        "/recommend",
        {"session": [{"item_id": "a", "time_s": -1}]},
        422,
        ["session[0].time_s"],
    ),
    ("an unknown field of an event", "/events", {**EVENT, "colour": 1}, 422, ["colour"]),
    ("no event id", "/events", {**EVENT, "event_id": None}, 422, ["event_id"]),
    ("an unknown kind", "/events", {**EVENT, "kind": "stare"}, 422, ["kind"]),
    ("a value NaN", "/events", orjson.dumps(EVENT)[:-1] + b', "value": NaN}', 422, ["value"]),
    ("a time in the future", "/events", {**EVENT, "time_s": NOW_S + 301}, 422, ["time_s"]),
    ("a negative event time", "/events", {**EVENT, "time_s": -1}, 422, ["time_s"]),
    ("a time in milliseconds", "/events", {**EVENT, "time_s": 1.7e12}, 422, ["time_s"]),
    ("an event without an item", "/events", {**EVENT, "item_id": None}, 422, ["item_id"]),
    ("a sign-up with an item", "/events", {**EVENT, "kind": "signup"}, 422, ["item_id"]),
    (
        "a retraction of nothing",
        "/events",
        {"event_id": "e", "user_id": "u", "kind": "retraction"},
        422,
        ["retracts"],
    ),
    ("no event", "/events", [], 422, ["body"]),
    ("1,001 events", "/events", [EVENT] * 1_001, 422, ["body"]),
    ("events that are numbers", "/events", [1, 2], 422, ["events[0]"]),
]


@pytest.mark.parametrize(
    ("path", "body", "status", "fields"), [row[1:] for row in BAD], ids=[row[0] for row in BAD]
)
def test_bad_input_gets_a_problem_document_that_names_the_field(
    replica_of: Replicas, path: str, body: Body, status: int, fields: list[str]
) -> None:
    answer = call(replica_of(), "POST", path, body)
    assert answer.status_code == status, answer.text
    assert list(dict.fromkeys(wrong_fields(answer)))[: len(fields)] == fields
    assert len(answer.content) < 5_000  # what came is cut for printing


@pytest.mark.parametrize(
    ("method", "path", "status", "fields"),
    [
        ("GET", "/recommend/ada?top_n=0", 422, ["query.top_n"]),
        ("GET", "/recommend/ada?top_n=many", 422, ["query.top_n"]),
        ("GET", "/recommend/ada?colour=red", 422, ["query.colour"]),
        ("GET", f"/recommend/{'x' * 257}", 422, ["path.user_id"]),
        ("GET", "/popular?cursor=nonsense", 422, ["cursor"]),
        ("GET", "/nowhere", 404, []),
        ("PUT", "/recommend", 405, []),
    ],
)
def test_bad_addresses_get_one_too(
    replica_of: Replicas, method: str, path: str, status: int, fields: list[str]
) -> None:
    answer = call(replica_of(), method, path)
    assert (answer.status_code, wrong_fields(answer)) == (status, fields)


def test_a_body_beyond_the_limit_is_refused_without_reading_it_all(replica_of: Replicas) -> None:
    replica = replica_of(limits=Limits(max_body_bytes=100))
    answer = call(replica, "POST", "/recommend", b" " * 101)
    assert (answer.status_code, wrong_fields(answer)) == (413, ["body"])

    n_read = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal n_read
        for _ in range(1_000):
            n_read += 1
            yield b" " * 60

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app=make_app(replica.service))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post("/recommend", content=chunks())

    assert asyncio.run(run()).status_code == 413
    assert n_read == 2


def test_a_bug_is_a_problem_document_that_gives_nothing_away(
    replica_of: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = replica_of()

    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("deployments.service.Service.traffic_report", broken)
    answer = call(replica, "GET", "/traffic")
    assert (answer.status_code, wrong_fields(answer)) == (500, [])
    assert "secret" not in answer.text


def test_a_body_that_does_not_come_in_time_is_not_waited_for(replica_of: Replicas) -> None:
    async def dribble() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(60.0)
        yield b"}"

    async def run() -> httpx.Response:
        replica = replica_of(limits=Limits(body_s=0.05))
        transport = httpx.ASGITransport(app=make_app(replica.service))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post("/recommend", content=dribble())

    answer = asyncio.run(run())
    assert answer.status_code == 408
    assert answer.headers["connection"] == "close"
    assert wrong_fields(answer) == ["body"]


def test_json_that_is_nested_too_deeply_is_refused_without_harm(replica_of: Replicas) -> None:
    nested = b'{"session":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    for path, body in (("/recommend", nested), ("/events", b"[" * 500_000)):
        answer = call(replica_of(), "POST", path, body)
        assert answer.status_code == 400
        assert wrong_fields(answer) == ["body"]


def test_when_there_is_no_room_the_popular_list_says_why_it_is_one(replica_of: Replicas) -> None:
    replica = replica_of()
    app = make_app(replica.service)

    async def overloaded(scope: Scope, receive: Receive, send: Send) -> None:
        scope[OVERLOADED] = True
        scope[RATE_HEADERS] = [(b"ratelimit", b"something")]
        await app(scope, receive, send)

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app=overloaded)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post("/recommend", json={"user_id": "ada", "top_n": 3})

    answer = asyncio.run(run())
    assert shown(answer) == POPULAR
    assert answer.json()["degraded"] == [{"stage": "router", "why": "overload"}]
    assert answer.headers["ratelimit"] == "something"


def test_whoever_is_told_to_come_back_is_told_when(replica_of: Replicas) -> None:
    answer = call(replica_of(loaded=False), "POST", "/recommend", {})
    assert answer.status_code == 503
    assert 1 <= int(answer.headers["retry-after"]) <= 4


def test_traffic_says_who_is_served_what_but_names_no_user(
    replica_of: Replicas, ramp: Callable[..., None]
) -> None:
    replica = replica_of()
    ramp(replica, 0.25, overrides={"ada": "canary"})
    report = call(replica, "GET", "/traffic").json()
    assert "ada" not in str(report)
    in_force = report["in_force"]
    assert (in_force["n_overrides"], in_force["rollout"]) == (1, None)
    assert report["ready"] == {"blue": "b" * 16, "green": "c" * 16}
    assert report["trouble"] is None


def test_an_arm_is_asked_for_by_header_unless_that_is_switched_off(
    replica_of: Replicas, ramp: Callable[..., None]
) -> None:
    replica = replica_of()
    ramp(replica, 0.0)
    asked = {"X-Marquee-Arm": "canary"}
    answer = call(replica, "POST", "/recommend", {"user_id": "ada"}, headers=asked).json()
    assert (answer["arm"], answer["override"]) == ("canary", True)
    refused = call(replica, "POST", "/recommend", {}, headers={"X-Marquee-Arm": "gold"})
    assert (refused.status_code, wrong_fields(refused)) == (422, ["X-Marquee-Arm"])
    closed = replica_of(limits=Limits(choose_arm=False))
    refused = call(closed, "POST", "/recommend", {}, headers=asked)
    assert (refused.status_code, wrong_fields(refused)) == (422, ["X-Marquee-Arm"])
