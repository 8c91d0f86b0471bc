"""The counters of many pods, each a real HTTP server with an address of its own."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deployments.control.counters import PrometheusCounters, ServiceCounters
from deployments.control.pods import PodsCounters, resolver_of
from deployments.control.sources import counters_from
from recsys.core.errors import FieldError, UnavailableError
from recsys.experiments.measurements import figures_of
from recsys.rollout.plan import RolloutPlan, Step
from recsys.rollout.state import Phase, RolloutState

STATE = RolloutState(
    id="r1",
    plan=RolloutPlan(steps=(Step(share=0.5), Step(share=1.0)), max_age=60.0),
    bundle="b" * 16,
    lane="green",
    stable_bundle="a" * 16,
    stable_lane="blue",
    phase=Phase.RAMPING,
    since_s=1_000.0,
    baseline={},
)
PAGE = """# TYPE marquee_arm_answers_total counter
marquee_arm_answers_total{{arm="canary",what="answers"}} {0}
# TYPE marquee_stage_seconds histogram
marquee_stage_seconds_bucket{{stage="recall",lane="green",le="+Inf"}} {0}
# TYPE something_else counter
something_else_total 1.0
"""


@dataclass
class Pods:
    """Pods on 127.0.0.1, .2 and so on, all at one port, as those of a headless Service are."""

    now_s: float = 0.0
    counts: dict[str, int | None] = field(
        default_factory=dict
    )  # address -> answers; None: it does not answer
    servers: dict[str, ThreadingHTTPServer] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)  # what the name resolves to
    port: int = 0

    def serve(self, number: int, count: int | None) -> str:
        """Let a pod count so many answers; return its address."""
        if number not in (int(host.rpartition(".")[2]) for host in self.servers):
            self._start(f"127.0.0.{number}")
        address = f"127.0.0.{number}:{self.port}"
        self.counts[f"127.0.0.{number}"] = count
        return address

    def _start(self, host: str) -> None:
        pods = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                count = pods.counts[host]
                self.send_response(503 if count is None or self.path != "/metrics" else 200)
                self.end_headers()
                self.wfile.write(PAGE.format(count).encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.servers[host] = ThreadingHTTPServer((host, self.port), Handler)
        self.port = self.servers[host].server_port
        self.names.append(f"{host}:{self.port}")
        threading.Thread(target=self.servers[host].serve_forever, daemon=True).start()

    def source(self) -> PodsCounters:
        return PodsCounters(lambda: list(self.names), clock=lambda: self.now_s)


@pytest.fixture
def pods() -> Iterator[Pods]:
    made = Pods()
    yield made
    for server in made.servers.values():
        server.shutdown()
        server.server_close()


def answers(source: PodsCounters, state: RolloutState = STATE) -> int:
    return figures_of(source.read(state).since_step.get("canary", {})).answers


def test_pods_are_added_up_through_restarts_and_ends(pods: Pods) -> None:
    pods.serve(1, 10)
    gone = pods.serve(2, 5)
    source = pods.source()
    assert answers(source) == 15
    pods.names.remove(gone)
    pods.serve(1, 3)  # it has begun anew
    assert answers(source) == 18
    pods.serve(3, 100)
    counted = source.read(STATE)
    assert figures_of(counted.since_step["canary"]).latency["recall"].n == 118
    assert counted.now is not None
    assert counted.now["canary"]["answers"] == 118.0


def test_a_step_counts_from_where_the_counters_stood(pods: Pods) -> None:
    pods.serve(1, 10)
    state = STATE.model_copy(update={"baseline": {"canary": {"answers": 4.0}}})
    assert answers(pods.source(), state) == 6


def test_a_controller_that_knows_less_than_was_counted_begins_the_step_anew(pods: Pods) -> None:
    pods.serve(1, 10)
    source = pods.source()
    state = STATE.model_copy(update={"baseline": {"canary": {"answers": 100.0}}})  # of pods that are gone
    assert answers(source, state) == 0
    pods.serve(1, 150)
    assert answers(source, state) == 140
    assert (
        answers(source, state.model_copy(update={"step": 1, "baseline": {"canary": {"answers": 120.0}}}))
        == 30
    )


def test_a_pod_that_is_silent_counts_as_it_did_until_that_is_too_long_ago(pods: Pods) -> None:
    silent = pods.serve(1, 10)
    pods.serve(2, 1)
    source = pods.source()
    assert answers(source) == 11
    pods.serve(1, None)
    pods.serve(2, 2)
    pods.now_s = 60.0
    assert answers(source) == 12
    pods.now_s = 61.0
    with pytest.raises(UnavailableError, match=f"{silent} has not answered for 61 s"):
        source.read(STATE)
    pods.serve(1, 11)
    assert answers(source) == 13


def test_a_pod_that_never_answered_is_no_measurement(pods: Pods) -> None:
    pods.serve(1, 10)
    pods.serve(2, None)
    with pytest.raises(UnavailableError, match="has not answered yet"):
        pods.source().read(STATE)


def test_no_pods_are_no_measurement(pods: Pods) -> None:
    with pytest.raises(UnavailableError, match="there are none"):
        pods.source().read(STATE)


def test_a_name_is_all_its_addresses() -> None:
    found = resolver_of("localhost:9464")()
    assert "127.0.0.1:9464" in found
    assert resolver_of("[::1]:9464")() == ["[::1]:9464"] or not socket.has_ipv6


def test_a_name_that_nobody_knows_is_no_measurement() -> None:
    with pytest.raises(UnavailableError, match="pods"):
        resolver_of("nobody.invalid:9464")()


@pytest.mark.parametrize("target", ["", "host", ":9464", "host:", "host:http", "host:0", "host:70000"])
def test_what_is_no_target_is_refused(target: str) -> None:
    with pytest.raises(FieldError, match="HOST:PORT"):
        resolver_of(target)


def test_counters_have_one_source() -> None:
    both = {"prometheus": "http://127.0.0.1:9", "pods": "pods:9464"}
    with pytest.raises(FieldError, match="one source"):
        counters_from("http://127.0.0.1:8000", selector="", **both)
    kinds = [
        (None, "pods:9464", PodsCounters),
        ("http://p", None, PrometheusCounters),
        (None, None, ServiceCounters),
    ]
    for prometheus, pods, kind in kinds:
        found = counters_from("http://127.0.0.1:8000", prometheus=prometheus, selector="", pods=pods)
        assert isinstance(found, kind)
