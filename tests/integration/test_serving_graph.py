"""The real graph: Ray Serve, HAProxy, SQLite, files; a bundle trained a moment ago."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import httpx
import orjson
import polars as pl
import psutil
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from deployments.metrics_exporter import added_up, exporter
from deployments.settings import ExposureSettings
from loadtest.engine.result import Result
from loadtest.engine.run import drive_closed, post
from recsys.eventlog.exposure_reader import scan_exposures
from recsys.rollout.traffic import Arm
from recsys.rollout.traffic_file import FileTrafficStore

pytestmark = pytest.mark.serve

_SECONDS_UNTIL_HEALED = 60.0


class Graph(Protocol):
    address: str
    replica_logs: Path

    def process_ids(self) -> list[int]: ...


class Args(Protocol):
    registry: str
    traffic: str
    exposures: ExposureSettings


class Serving(Protocol):
    """What the fixture makes: a running graph."""

    graph: Graph
    args: Args
    item_ids: frozenset[str]
    port: int
    train: Callable[[int], str]


@pytest.fixture
def client(serving: Serving) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=serving.graph.address, timeout=30.0) as client:
        yield client


def recommended(client: httpx.Client, **asked: object) -> dict[str, Any]:
    answer = client.post("/v1/recommend", content=orjson.dumps(asked))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ids(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def wait_until(is_so: Callable[[], bool], timeout_s: float = _SECONDS_UNTIL_HEALED) -> None:
    give_up_s = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < give_up_s
        time.sleep(0.2)


def test_a_request_is_answered_in_full_by_the_bundle_in_force(serving: Serving, client: httpx.Client) -> None:
    answer = recommended(client, user_id="ada", top_n=10)
    assert len(set(ids(answer))) == 10
    assert set(ids(answer)) <= serving.item_ids
    assert answer["degraded"] == []
    assert answer["bundle"] == client.get("/traffic").json()["lanes"]["blue"]


def test_an_answer_carries_one_request_id(client: httpx.Client) -> None:
    answer = client.get("/healthz", headers={"X-Request-Id": "abc"})
    assert answer.headers.get_list("x-request-id") == ["abc"]


def test_an_event_is_known_to_the_very_next_request(client: httpx.Client) -> None:
    before = recommended(client, user_id="grace", top_n=10)
    [first, *_] = ids(before)
    taken = client.post(
        "/events", json={"event_id": "g1", "user_id": "grace", "kind": "watch", "item_id": first}
    )
    assert (taken.status_code, taken.json()["results"][0]["status"]) == (202, "accepted")
    after = recommended(client, user_id="grace", top_n=10)
    assert first not in ids(after)
    assert ids(after) != ids(before)[1:]  # the taste has moved, the item is not just gone
    assert client.delete("/users/grace").status_code == 200
    assert ids(recommended(client, user_id="grace", top_n=10)) == ids(before)


def test_what_was_shown_is_taken_down_under_another_name(serving: Serving, client: httpx.Client) -> None:
    answer = recommended(client, user_id="hedy", top_n=5)
    folder = serving.args.exposures.folder
    assert folder is not None

    def shown() -> list[list[str]]:
        rows = scan_exposures(folder).filter(pl.col("request_id") == answer["request_id"])
        frame = rows.collect()
        assert "hedy" not in str(frame.to_dicts())
        return [found.to_list() for found in frame["item_ids"]]

    wait_until(lambda: shown() == [ids(answer)])


def test_pages_run_through_the_catalogue_without_a_repeat(serving: Serving, client: httpx.Client) -> None:
    shown: list[str] = []
    more: dict[str, str] = {}
    while True:
        answer = recommended(client, user_id="page-turner", top_n=7, **more)
        shown += ids(answer)
        if answer["cursor"] is None:
            break
        more = {"cursor": answer["cursor"]}
    assert len(shown) == len(set(shown))
    assert set(shown) == serving.item_ids


def test_a_body_of_fifty_megabytes_is_refused(client: httpx.Client) -> None:
    try:
        answer = client.post("/recommend", content=b" " * 50_000_000)
    except httpx.WriteError:
        return  # the refusal came while the body was still being sent, and the connection was closed
    assert answer.status_code == 413
    assert answer.json()["errors"][0]["field"] == "body"


item_ids = st.one_of(st.integers(0, 99), st.text(min_size=1, max_size=12).filter(str.isprintable))
events = st.fixed_dictionaries(
    {"item_id": item_ids}, optional={"kind": st.sampled_from(["watch", "skip"]), "time_s": st.floats(0, 1e9)}
)
requests = st.fixed_dictionaries(
    {},
    optional={
        "user_id": item_ids,
        "top_n": st.integers(1, 100),
        "session": st.lists(st.one_of(item_ids, events), max_size=8),
        "exclude_ids": st.lists(st.sampled_from([f"i{n:06d}" for n in range(60)]), max_size=60),
        "context": st.sampled_from(["home", "nowhere"]),
        "filters": st.fixed_dictionaries(
            {}, optional={"min_duration_s": st.floats(0, 1e4), "tags_none": st.just(["topic"])}
        ),
        "variety": st.floats(0, 1),
        "explain": st.booleans(),
    },
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(asked=requests)
def test_any_valid_request_gets_known_items_none_twice_none_excluded_never_too_many(
    serving: Serving, client: httpx.Client, asked: dict[str, Any]
) -> None:
    found = ids(recommended(client, **asked))
    assert len(found) == len(set(found)) <= asked.get("top_n", 10)
    assert set(found) <= serving.item_ids
    assert not set(found) & set(asked.get("exclude_ids", ()))
    if "filters" not in asked and "session" not in asked and "user_id" not in asked:
        assert len(found) == min(
            asked.get("top_n", 10), len(serving.item_ids - set(asked.get("exclude_ids", ())))
        )


WANTED = [not_a_server_error, response_schema_conformance, content_type_conformance]


@pytest.mark.parametrize(
    "mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value
)
def test_whatever_fits_or_breaks_the_document_is_answered_as_described(
    serving: Serving, mode: GenerationMode
) -> None:
    document = schemathesis.openapi.from_url(f"{serving.graph.address}/openapi.json")
    calls = [found.ok() for found in document.get_all_operations() if isinstance(found, Ok)]
    breakable = [call for call in calls if mode.is_positive or call.body or call.path_parameters]

    @settings(max_examples=250, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.one_of([call.as_strategy(generation_mode=mode) for call in breakable]))
    def check(case: schemathesis.Case[Any]) -> None:
        answer = case.call()
        by_proxy = answer.status_code == 400 and b"Your browser sent an invalid request" in answer.content
        if not by_proxy:  # HAProxy itself refuses addresses that are longer than its buffer
            case.validate_response(answer, checks=WANTED)

    assert len(calls) == 11
    check()


def test_a_new_bundle_takes_over_and_a_corrupt_one_is_refused_by_name(
    serving: Serving, client: httpx.Client
) -> None:
    traffic = FileTrafficStore(Path(serving.args.traffic))
    first = traffic.read()
    second, corrupt = serving.train(6), serving.train(7)
    model = Path(serving.args.registry) / "bundles" / corrupt / "ranker" / "model.ubj"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.chmod(0o644)
    model.write_bytes(data)

    def serve(bundle: str | None) -> None:
        now = traffic.read()
        share = 0.5 if bundle else 0.0
        stable = Arm(arm="stable", lane="blue", share=1.0 - share)
        arms = (stable, Arm(arm="canary", lane="green", share=share)) if bundle else (stable,)
        changed = now.successor(
            updated_s=0.0, updated_by="test", lanes={**first.lanes, "green": bundle}, arms=arms
        )
        traffic.swap(changed, expected_version=now.version)

    serve(second)
    wait_until(lambda: client.get("/traffic").json()["lanes"].get("green") == second)
    found = [recommended(client, user_id=f"u{user}") for user in range(40)]
    assert {(answer["arm"], answer["bundle"]) for answer in found} == {
        ("stable", first.lanes["blue"]),
        ("canary", second),
    }
    assert all(answer["degraded"] == [] for answer in found)

    serve(corrupt)
    wait_until(lambda: bool(client.get("/traffic").json()["refused"]))
    refused = client.get("/traffic").json()["refused"][0]
    assert (refused["lane"], refused["bundle"]) == ("green", corrupt)
    assert "ranker/model.ubj" in refused["why"]
    logs = list(serving.graph.replica_logs.glob("replica_marquee_ranking-green_*.log"))
    wait_until(lambda: any("refuses a bundle" in log.read_text() for log in logs))
    assert {recommended(client, user_id=f"u{user}")["bundle"] for user in range(40)} == {
        first.lanes["blue"],
        second,
    }
    serve(None)
    wait_until(lambda: not client.get("/traffic").json()["refused"])


def calls(client: httpx.Client) -> dict[tuple[str, str], float]:
    """Return how often each stage was called so far, and in which way."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    samples = [
        sample for family in families if family.name == "marquee_stage_calls" for sample in family.samples
    ]
    return {(one.labels["stage"], one.labels["way"]): one.value for one in samples}


def test_stages_are_called_by_wire_once_their_replicas_are_known(client: httpx.Client) -> None:
    def all_by_wire() -> bool:
        before = calls(client)
        recommended(client, user_id="emmy", session=["i000001"])
        after = calls(client)
        return all(
            after.get((stage, way), 0) - before.get((stage, way), 0) == (way == "wire")
            for stage in ("recall", "ranking")
            for way in ("wire", "serve")
        )

    wait_until(all_by_wire)


def replicas(serving: Serving, deployment: str) -> list[int]:
    """Return the processes of one deployment."""
    title = f"ray::ServeReplica:marquee:{deployment}"
    found = []
    for pid in serving.graph.process_ids():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if command.decode(errors="replace").startswith(title):
            found.append(pid)
    return found


def routers(serving: Serving) -> list[str]:
    """Return where each router answers by itself, without the proxy that chooses between them."""
    found = []
    for pid in replicas(serving, "router"):
        for connection in psutil.Process(pid).net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN:
                address = f"http://127.0.0.1:{connection.laddr.port}"
                with contextlib.suppress(httpx.HTTPError):
                    if httpx.get(f"{address}/readyz", timeout=5.0).status_code == 200:
                        found.append(address)
    return found


def test_an_event_at_one_router_is_known_at_once_to_the_cache_of_the_other(serving: Serving) -> None:
    wait_until(lambda: len(routers(serving)) == 2)
    here, there = (httpx.Client(base_url=address, timeout=30.0) for address in routers(serving))
    event = {"user_id": "edith", "kind": "watch"}
    with here, there:
        for router in (here, there):
            wait_until(lambda router=router: recommended(router)["degraded"] == [])  # type: ignore[misc]  # lambda defaults
        here.post("/events", json={**event, "event_id": "0", "item_id": ids(recommended(here))[0]})
        for number in range(1, 6):
            before = [recommended(router, user_id="edith", top_n=5) for router in (here, there, here, there)]
            assert [answer["cached"] for answer in before] == [False, False, True, True]
            assert len({tuple(ids(answer)) for answer in before}) == 1
            [first, *_] = ids(before[0])
            here.post("/events", json={**event, "event_id": f"{number}", "item_id": first})
            for router in (there, here):  # the other one first
                after = recommended(router, user_id="edith", top_n=5)
                assert not after["cached"]
                assert first not in ids(after)
            there.post(
                "/events",
                json={**event, "event_id": f"skip{number}", "kind": "skip", "item_id": ids(after)[0]},
            )
        assert here.delete("/users/edith").status_code == 200
        erased = recommended(there, user_id="edith", top_n=5)
        assert ids(erased) == ids(recommended(there, user_id="nobody-yet", top_n=5))


def driven(serving: Serving, seconds: float, meanwhile: Callable[[], None]) -> Result:
    """Drive the graph with eight connections, and do something after a while."""
    timer = threading.Timer(seconds / 3, meanwhile)
    requests = [  # each different, so that none is answered from the cache
        post("recommend", "/recommend", orjson.dumps({"user_id": f"u{user}", "session": ["i000001"]}))
        for user in range(20_000)
    ]
    timer.start()
    try:
        return drive_closed(serving.graph.address, requests, connections=8, duration_s=seconds)
    finally:
        timer.join()


@pytest.mark.parametrize("deployment", ["ranking-blue", "recall-blue", "router"])
def test_a_replica_killed_under_load_costs_no_request(
    serving: Serving, client: httpx.Client, deployment: str
) -> None:
    victims = replicas(serving, deployment)
    assert victims
    killed: list[int] = []

    def kill() -> None:
        os.kill(victims[0], signal.SIGKILL)
        killed.append(victims[0])

    result = driven(serving, 6.0, kill)
    assert killed == victims[:1]
    assert result.total.failures == {}
    assert result.total.n_good > 50
    wait_until(
        lambda: victims[0] not in replicas(serving, deployment) and len(replicas(serving, deployment)) > 0
    )
    # who excludes something and gives no name is answered afresh, not from the cache
    wait_until(lambda: recommended(client, exclude_ids=["i000001"])["degraded"] == [])


def test_a_killed_router_takes_its_gauges_along_and_leaves_its_counters(serving: Serving) -> None:
    folder = serving.graph.replica_logs.parents[3] / "metrics"  # of all processes of this machine

    with exporter(added_up(folder), "127.0.0.1", 0) as port:

        def figure(name: str) -> float:
            page = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30.0).text
            samples = [one for family in text_string_to_metric_families(page) for one in family.samples]
            return sum(sample.value for sample in samples if sample.name == name)

        wait_until(lambda: len(routers(serving)) == 2)
        wait_until(lambda: figure("marquee_refreshed_seconds") > time.time() - 5.0)
        answered = figure("marquee_requests_total")
        victim = replicas(serving, "router")[0]
        os.kill(victim, signal.SIGKILL)
        killed_s = time.time()
        wait_until(lambda: victim not in replicas(serving, "router"))
        wait_until(lambda: figure("marquee_refreshed_seconds") > killed_s)  # it is that of the slowest router
        assert figure("marquee_requests_total") >= answered
        assert figure("marquee_traffic_version") >= 1.0
        wait_until(lambda: len(routers(serving)) == 2)
