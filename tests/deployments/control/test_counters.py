"""The controller's sources, each against a real HTTP server that answers as told."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from deployments.control.counters import PrometheusCounters, ServiceCounters
from deployments.control.readiness import readiness_of
from recsys.core.errors import UnavailableError
from recsys.experiments.measurements import figures_of
from recsys.rollout.controller import Readiness
from recsys.rollout.plan import DEFAULT_PLAN
from recsys.rollout.state import RolloutState

A, B = "a" * 16, "b" * 16
STATE = RolloutState(
    id="r1", plan=DEFAULT_PLAN, bundle=B, lane="green", stable_bundle=A, stable_lane="blue", since_s=1_000.0
)
PAGE = """# TYPE marquee_arm_answers_total counter
marquee_arm_answers_total{arm="canary",what="answers"} 30.0
marquee_arm_answers_total{arm="stable",what="answers"} 90.0
# TYPE marquee_arm_seconds histogram
marquee_arm_seconds_bucket{arm="canary",le="0.1"} 20.0
marquee_arm_seconds_bucket{arm="canary",le="+Inf"} 30.0
# TYPE marquee_stage_seconds histogram
marquee_stage_seconds_bucket{stage="recall",lane="green",le="+Inf"} 5.0
marquee_stage_seconds_bucket{stage="state",lane="",le="+Inf"} 5.0
# TYPE something_else counter
something_else_total 1.0
"""

Answer = tuple[int, str]


@pytest.fixture
def served() -> Iterator[Callable[[Callable[[str, dict[str, list[str]]], Answer]], str]]:
    """Serve what a function of path and query says; return where."""
    servers: list[ThreadingHTTPServer] = []

    def serve(answer: Callable[[str, dict[str, list[str]]], Answer]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = urlsplit(self.path)
                status, body = answer(asked.path, parse_qs(asked.query))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


Served = Callable[[Callable[[str, dict[str, list[str]]], Answer]], str]


def test_the_service_is_read_from_where_the_step_began(served: Served) -> None:
    url = served(lambda path, _: (200, PAGE) if path == "/metrics" else (404, ""))
    state = STATE.model_copy(update={"baseline": {"canary": {"answers": 10.0}}})
    counted = ServiceCounters(url).read(state)
    canary = figures_of(counted.since_step["canary"])
    assert canary.answers == 20
    assert canary.latency["answer"].cumulative == (20.0, 30.0)
    assert canary.latency["recall"].n == 5  # stages are timed by lane, and green is the canary's
    assert figures_of(counted.since_step["shadow"]).latency["recall"].n == 5  # judged so while it is unseen
    assert figures_of(counted.since_step["stable"]).answers == 90
    assert counted.now is not None
    assert counted.now["canary"]["answers"] == 30.0


@pytest.mark.parametrize("answer", [(503, "busy"), (404, "")])
def test_a_service_that_does_not_answer_is_no_measurement(served: Served, answer: Answer) -> None:
    with pytest.raises(UnavailableError, match="metrics of the service"):
        ServiceCounters(served(lambda *_: answer)).read(STATE)


def test_a_service_that_is_gone_is_no_measurement() -> None:
    with pytest.raises(UnavailableError, match="ConnectError"):
        ServiceCounters("http://127.0.0.1:9").read(STATE)


def vector(*samples: tuple[dict[str, str], float]) -> Answer:
    result = [{"metric": labels, "value": [0, str(value)]} for labels, value in samples]
    return 200, json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})


def test_prometheus_is_asked_for_the_increase_since_the_step_began(served: Served) -> None:
    asked: list[str] = []

    def answer(path: str, query: dict[str, list[str]]) -> Answer:
        assert path == "/api/v1/query"
        [text], [at_s] = query["query"], query["time"]
        assert float(at_s) == 1_100.0
        asked.append(text)
        if "timestamp" in text:
            return vector(({}, 1_090.0))
        if "arm_answers" in text:
            return vector(({"arm": "canary", "what": "answers"}, 12.5))
        return vector()

    source = PrometheusCounters(served(answer), clock=lambda: 1_100.0, selector='namespace="prod"')
    counted = source.read(STATE)
    assert counted.since_step == {"canary": {"answers": 12.5}}
    assert counted.now is None
    series = 'marquee_arm_answers_total{namespace="prod"}'
    assert asked[1] == (
        f"sum by (arm, what) ((last_over_time({series}[100000ms])"
        f" - last_over_time({series}[5m] offset 100000ms) and resets({series}[100000ms]) == 0)"
        f" or increase({series}[100000ms]))"
    )


def test_samples_that_are_too_old_are_no_measurement(served: Served) -> None:
    old = served(lambda *_: vector(({}, 1_000.0)))
    with pytest.raises(UnavailableError, match="the newest sample is 100 s old"):
        PrometheusCounters(old, clock=lambda: 1_100.0).read(STATE)
    none = served(lambda *_: vector())
    with pytest.raises(UnavailableError, match="no samples of the service"):
        PrometheusCounters(none, clock=lambda: 1_100.0).read(STATE)


@pytest.mark.parametrize("body", ["", "[]", '{"data": {"result": [{"value": []}]}}', '{"data": null}'])
def test_what_is_no_prometheus_is_no_measurement(served: Served, body: str) -> None:
    with pytest.raises(UnavailableError, match="Prometheus"):
        PrometheusCounters(served(lambda *_: (200, body)), clock=lambda: 1.0).read(STATE)


def report(**fields: object) -> str:
    return json.dumps({"ready": {}, "refused": [], **fields})


@pytest.mark.parametrize(
    ("body", "readiness"),
    [
        (report(), Readiness()),
        (report(ready={"green": A}), Readiness()),
        (report(ready={"green": B}), Readiness(loaded=True)),
        (
            report(refused=[{"lane": "green", "bundle": B, "why": "ranker: differs"}]),
            Readiness(refused="ranker: differs"),
        ),
        (report(refused=[{"lane": "blue", "bundle": A, "why": "old"}]), Readiness()),
    ],
)
def test_readiness_is_what_the_routers_say_of_this_bundle(
    served: Served, body: str, readiness: Readiness
) -> None:
    assert readiness_of(served(lambda *_: (200, body)), STATE) == readiness


@pytest.mark.parametrize("answer", [(200, "[]"), (200, "no"), (503, ""), (200, "{}")])
def test_who_does_not_say_is_not_ready(served: Served, answer: Answer) -> None:
    with pytest.raises(UnavailableError, match="service"):
        readiness_of(served(lambda *_: answer), STATE)
