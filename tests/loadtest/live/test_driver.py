"""The driver against a server that answers well, badly, late or not at all."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Protocol

import orjson
import pytest

from deployments.api import EventIn, RecommendRequest
from loadtest.live.driver import Look, Pulse, play
from loadtest.live.result import NO_ARM, LiveResult
from loadtest.live.settings import LiveSettings, PopulationSettings
from recsys.core.errors import FieldError
from recsys.simulation.scenario import SCENARIOS
from recsys.simulation.world import World, make_world

TOP_N = 5
IDS = tuple(f"i{row:06d}" for row in range(TOP_N))
N = 20  # lists asked for in most tests


class Asked(Protocol):
    path: str
    body: bytes


Step = bytes | float | str
Serve = Callable[[Callable[[Asked], Sequence[Step]]], Any]


@cache
def world() -> World:
    return make_world(SCENARIOS["tiny"], 7)


def http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def list_of(*item_ids: str, arm: str = "stable", bundle: str = "b1", degraded: bool = False) -> bytes:
    missing = [{"stage": "state", "why": "late"}] if degraded else []
    items = [{"item_id": item_id, "position": n, "score": 0.5} for n, item_id in enumerate(item_ids, 1)]
    named = {"request_id": "r1", "items": items, "arm": arm, "bundle": bundle, "cursor": None}
    return orjson.dumps({**named, "degraded": missing, "cached": False})


def accepted(asked: Asked, status: str = "accepted") -> bytes:
    events = orjson.loads(asked.body)
    results = [{"event_id": event["event_id"], "status": status, "problem": None} for event in events]
    return http(orjson.dumps({"results": results}), "202 Accepted")


def well(asked: Asked) -> Sequence[Step]:
    return [http(list_of(*IDS)) if asked.path == "/recommend" else accepted(asked)]


def lists_are(*steps: Step) -> Callable[[Asked], Sequence[Step]]:
    return lambda asked: steps if asked.path == "/recommend" else [accepted(asked)]


def events_are(*steps: Step) -> Callable[[Asked], Sequence[Step]]:
    return lambda asked: steps if asked.path == "/events" else well(asked)


def played(
    serve: Serve,
    script: Callable[[Asked], Sequence[Step]],
    *,
    n: int = N,
    rate_per_s: float = 1_000.0,
    timeout_s: float = 30.0,
    max_in_flight: int = 256,
    look: Look = lambda _: None,
    **people: float,
) -> tuple[LiveResult, list[Any]]:
    """Play until ``n`` lists were due; return the result and what the server was asked."""
    people = {"anonymous_share": 0.0, **people}
    settings = LiveSettings(
        population=PopulationSettings(rate_per_s=rate_per_s, **people),
        top_n=TOP_N,
        timeout_s=timeout_s,
        max_in_flight=max_in_flight,
    )
    with serve(script) as server:
        result = asyncio.run(
            play(world(), server.url, settings, run_id="t", seconds=n / rate_per_s, look=look)
        )
        return result, list(server.asked)


def test_every_list_is_answered_and_its_events_come_home(serve: Serve) -> None:
    result, asked = played(serve, well, n=200)
    (arm,) = result.arms
    assert (result.n_failed, result.failures) == (0, {})
    assert arm.n_answers == result.n_asked == sum(one.path == "/recommend" for one in asked)
    assert arm.n_shown == TOP_N * arm.n_answers
    assert result.events.statuses == {"accepted": result.events.n_sent}
    assert result.events.n_sent == arm.n_looked
    assert 0 < arm.n_watched < arm.n_looked < arm.n_shown
    assert arm.watch_rate == arm.n_watched / arm.n_shown


def test_what_is_sent_is_what_the_service_reads(serve: Serve) -> None:
    _, asked = played(serve, well, n=100, anonymous_share=0.5)
    questions = [RecommendRequest.model_validate_json(one.body) for one in asked if one.path == "/recommend"]
    batches = [orjson.loads(one.body) for one in asked if one.path == "/events"]
    events = [EventIn.model_validate(event) for batch in batches for event in batch]
    assert {question.top_n for question in questions} == {TOP_N}
    assert any(question.user_id is None and question.session for question in questions)
    assert all(question.user_id is None or not question.session for question in questions)
    assert len({event.event_id for event in events}) == len(events) > 0
    assert {event.request_id for event in events} == {"r1"}
    assert all(len({event["user_id"] for event in batch}) == 1 for batch in batches)


def test_what_people_find_by_themselves_is_told_without_a_list(serve: Serve) -> None:
    result, asked = played(serve, well, n=200, own_share=0.5)
    events = [event for one in asked if one.path == "/events" for event in orjson.loads(one.body)]
    own = [event for event in events if "request_id" not in event]
    assert 0 < result.n_asked == sum(one.path == "/recommend" for one in asked) < 200
    assert 0 < len(own) < len(events) == result.events.n_sent == sum(result.events.statuses.values())
    assert {event["item_id"] for event in own} <= set(world().catalogue.item_ids)
    assert {event["item_id"] for event in own} - set(IDS)
    assert len({event["event_id"] for event in events}) == len(events)


def test_events_carry_the_time_of_the_service_and_not_of_the_world(serve: Serve) -> None:
    settings = LiveSettings(population=PopulationSettings(rate_per_s=500, anonymous_share=0.0), top_n=TOP_N)
    with serve(well) as server:
        asyncio.run(play(world(), server.url, settings, run_id="t", seconds=0.1, now=lambda: 1.75e9))
        batches = [orjson.loads(one.body) for one in server.asked if one.path == "/events"]
    assert {event["time_s"] for batch in batches for event in batch} == {1.75e9}


@pytest.mark.parametrize(
    ("step", "name"),
    [
        (http(b"", "503 Service Unavailable"), "status 503"),
        (http(b"", "500 Oops"), "status 500"),
        (http(b"{}", "404 Not Found"), "status 404"),
        (http(b"nonsense"), "not an answer"),
        (http(b"[]"), "not an answer"),
        (http(orjson.dumps({"items": [{"item_id": 3}]})), "not an answer"),
        (b"SMTP ready\r\n\r\n", "protocol"),
        ("close", "closed"),
    ],
)
def test_what_is_no_list_is_a_failure_of_its_name(step: Step, name: str, serve: Serve) -> None:
    result, asked = played(serve, lists_are(step))
    (arm,) = result.arms
    assert (arm.arm, arm.n_answers, arm.watch_rate, arm.p99_ms) == (NO_ARM, 0, None, None)
    assert result.failures == {name: result.n_asked}
    assert result.n_failed == result.n_asked > 0
    assert not any(one.path == "/events" for one in asked)
    assert result.paths == {}


@pytest.mark.parametrize(
    ("item_ids", "name"),
    [
        (IDS[:-1], "short list"),
        ((), "short list"),
        ((*IDS[:-1], IDS[0]), "repeated item"),
        ((*IDS[:-1], "i999999"), "unknown item"),
    ],
)
def test_a_list_with_something_wrong_is_a_failure_of_its_arm(
    item_ids: tuple[str, ...], name: str, serve: Serve
) -> None:
    result, _ = played(serve, lists_are(http(list_of(*item_ids, arm="canary"))))
    (arm,) = result.arms
    assert (arm.arm, arm.n_answers) == ("canary", result.n_asked)
    assert arm.failures == result.failures == {name: result.n_asked}
    assert arm.n_shown == len(item_ids) * result.n_asked


def test_a_list_for_somebody_who_has_met_nearly_all_may_be_short(serve: Serve) -> None:
    everything = world().catalogue.item_ids
    left: dict[str, dict[str, None]] = {}

    def script(asked: Asked) -> Sequence[Step]:
        sent = orjson.loads(asked.body)
        if asked.path == "/recommend":
            items = left.setdefault(sent["user_id"], dict.fromkeys(everything))
            return [http(list_of(*list(items)[: sent["top_n"]]))]
        for event in sent:
            left[event["user_id"]].pop(event["item_id"], None)
        return [accepted(asked)]

    # all by one new user, who meets 100 videos in 31 lists or so
    result, _ = played(serve, script, n=60, rate_per_s=20.0, new_share=1.0, lists_per_session=1e9, speed=1e6)
    (arm,) = result.arms
    assert result.failures == {}
    assert 0 < arm.n_exhausted < arm.n_answers


def test_videos_that_a_user_meets_again_are_counted(serve: Serve) -> None:
    result, _ = played(serve, well, n=100, new_share=1.0, lists_per_session=1e9, speed=1e9)
    (arm,) = result.arms
    assert len(result.paths) == 1  # one user is shown the same five videos again and again
    assert 0.9 * arm.n_shown < arm.n_met_again <= arm.n_shown - TOP_N


def test_an_answer_that_does_not_come_in_time_is_a_timeout(serve: Serve) -> None:
    result, _ = played(serve, lists_are(60.0), n=5, timeout_s=0.2)
    assert result.failures == {"timeout": result.n_asked}
    assert result.n_unfinished == 0


def test_nobody_listening_is_a_failure_of_every_request(serve: Serve) -> None:
    with serve(well) as server:
        url = server.url
    settings = LiveSettings(population=PopulationSettings(rate_per_s=200.0))
    result = asyncio.run(play(world(), url, settings, run_id="t", seconds=0.1))
    assert result.failures == {"connect": result.n_asked}


def test_lists_are_asked_for_on_schedule_up_to_the_limit_whatever_the_answers_do(serve: Serve) -> None:
    result, asked = played(serve, lists_are(60.0), n=50, timeout_s=1.0, max_in_flight=3)
    n_sent = sum(one.path == "/recommend" for one in asked)
    assert 3 <= n_sent < result.n_asked
    assert result.failures == {"timeout": n_sent, "not sent": result.n_asked - n_sent}


@pytest.mark.parametrize(
    ("step", "name"),
    [
        (http(b"", "503 Busy"), "events: status 503"),
        (http(b"nonsense", "202 Accepted"), "events: not an answer"),
        ("close", "events: closed"),
    ],
)
def test_events_that_get_lost_are_failures_of_their_own(step: Step, name: str, serve: Serve) -> None:
    result, asked = played(serve, events_are(step))
    n_batches = sum(one.path == "/events" for one in asked)
    assert result.failures == {name: n_batches}
    assert result.arms[0].failures == {}


def test_refused_events_are_failures_and_repeats_are_not(serve: Serve) -> None:
    for status, n_failed in (("rejected", 1), ("duplicate", 0)):

        def script(asked: Asked, status: str = status) -> Sequence[Step]:
            return well(asked) if asked.path == "/recommend" else [accepted(asked, status)]

        result, _ = played(serve, script)
        assert result.events.statuses == {status: result.events.n_sent}
        assert result.n_failed == n_failed * result.events.n_sent


def test_arms_are_counted_apart_and_their_bundles_named(serve: Serve) -> None:
    def script(asked: Asked) -> Sequence[Step]:
        if asked.path == "/events":
            return [accepted(asked)]
        new = "new-" in orjson.loads(asked.body)["user_id"]
        arm, bundle = ("canary", "b2") if new else ("stable", "b1")
        return [http(list_of(*IDS, arm=arm, bundle=bundle, degraded=new))]

    result, asked = played(serve, script, n=200, new_share=0.5)
    n_new = sum(b"new-" in one.body for one in asked if one.path == "/recommend")
    stable, canary = result.arm("stable"), result.arm("canary")
    assert stable is not None
    assert canary is not None
    assert (canary.n_answers, canary.n_degraded, canary.bundles) == (n_new, n_new, ("b2",))
    assert (stable.n_answers, stable.n_degraded, stable.bundles) == (result.n_asked - n_new, 0, ("b1",))
    assert result.visitors == {"known": stable.n_answers, "new": n_new}
    assert result.moves == ()
    assert {steps[0].arm for user, steps in result.paths.items() if user.startswith("new-")} == {"canary"}


def test_the_time_line_adds_up_to_the_arms(serve: Serve) -> None:
    result, _ = played(serve, well, n=60, rate_per_s=50.0)
    (arm,) = result.arms
    assert sum(second.n_answers for second in result.seconds) == arm.n_answers
    assert sum(second.n_watched for second in result.seconds) == arm.n_watched
    times = [second.at_s for second in result.seconds]
    assert times == sorted(set(times))


def test_latency_counts_from_when_a_list_was_due(serve: Serve) -> None:
    result, _ = played(serve, lists_are(0.2, http(list_of(*IDS))), n=10, max_in_flight=256)
    (arm,) = result.arms
    assert arm.p50_ms is not None
    assert arm.p50_ms >= 200.0  # the server takes that long, and nothing makes it quicker
    assert min(second.p50_ms or 0.0 for second in result.seconds) >= 200.0


def test_a_stopped_run_keeps_what_it_has(serve: Serve) -> None:
    seen: list[Pulse] = []

    async def stopped(url: str) -> LiveResult:
        stop = asyncio.Event()

        def look(pulse: Pulse) -> None:
            seen.append(pulse)
            if pulse.n_asked > 10:
                stop.set()

        settings = LiveSettings(population=PopulationSettings(rate_per_s=100.0), top_n=TOP_N)
        return await play(world(), url, settings, run_id="t", stop=stop, look=look)

    with serve(well) as server:
        result = asyncio.run(stopped(server.url))
    assert result.n_answers == result.n_asked > 10
    assert result.n_failed == 0
    assert seen[-1].n_asked <= result.n_asked


def test_the_same_seed_asks_for_the_same_people(serve: Serve) -> None:
    def users(asked: list[Any]) -> Counter[str]:
        return Counter(orjson.loads(one.body)["user_id"] for one in asked if one.path == "/recommend")

    first, again = (users(played(serve, well, n=100)[1]) for _ in range(2))
    assert first == again


def test_the_summary_is_json_and_says_what_failed(serve: Serve) -> None:
    result, _ = played(serve, lists_are(http(list_of(*IDS[:2]))))
    summary = orjson.loads(orjson.dumps(result.summary()))
    assert summary["failures"] == {"short list": result.n_asked}
    assert orjson.loads(orjson.dumps(result))["seconds"][0]["arm"] == "stable"


def test_an_address_of_another_protocol_is_refused() -> None:
    with pytest.raises(FieldError, match="http://"):
        asyncio.run(play(world(), "https://127.0.0.1", LiveSettings(), run_id="t", seconds=0.1))
