"""Every query of every dashboard and alert, answered by a real Prometheus that scrapes the real graph."""

import json
import math
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import polars as pl
import pytest
import yaml

from deployments.cli.serve import begin_traffic, graph_args
from deployments.launcher import RunningGraph, running_graph
from deployments.settings import GraphArgs
from recsys.cli.drift import reference_of
from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.ports import free_ports
from recsys.data.events import Event, EventKind
from recsys.data.schema import Dataset
from recsys.drift.metrics_text import METRICS_FILE
from recsys.eventlog.writer import EventLogWriter
from recsys.overlay.change import ItemChange
from recsys.overlay.open import open_overlay
from recsys.rollout import transitions
from recsys.rollout.desk import change
from recsys.rollout.plan import RolloutPlan, Step
from recsys.rollout.traffic_file import FileTrafficStore

pytestmark = [
    pytest.mark.serve,
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("prometheus") is None, reason="no prometheus (Debian: apt-get install prometheus)"
    ),
]

FILES = Path(__file__).parents[2] / "charts" / "marquee" / "files"
PATIENCE_S = 90.0  # cores are shared; Ray renews its figures every ten seconds
LABELS = {"namespace": "shop", "pod": "films-worker-1"}  # what Prometheus adds on Kubernetes
JOB = "shop/films"
PLAN = RolloutPlan(steps=(Step(share=0.5, shadow=0.5, min_time=3_600.0), Step(share=1.0)))
MARQUEE = (sys.executable, "-c", "from recsys.cli.main import main; main()")

NOT_IN_GOOD_HEALTH = {
    'marquee_requests_total{route=~"/recommend.*",status=~"5.."}': "no recommendation failed",
    'marquee_shed_total{kind="recommend"}': "there was room for all",
    'marquee_bundle_info{state="refused"}': "both bundles are good",
    "marquee_state_errors_total": "the user state was there all the time",
    "marquee_ingest_troubles_total": "all was there that ingest asked for",
}
"""What alerts look for and do not find here, and why; in tests/charts/test_alerts.py each of them happens."""


class Asked(NamedTuple):
    """A query of a panel, as Grafana sends it."""

    panel: str
    expr: str
    legend: str


class Series(NamedTuple):
    """One line that comes back."""

    labels: dict[str, str]
    value: float


@dataclass
class Prometheus:
    """A Prometheus that runs."""

    url: str

    def get(self, path: str, **params: str) -> Any:  # noqa: ANN401 - JSON
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=params, timeout=30.0)
        if answer.is_server_error:  # 503 in plain text: it listens and is not ready
            answer.raise_for_status()
        said = answer.json()
        assert said["status"] == "success", f"{params}: {said.get('error')}"
        return said["data"]

    def ask(self, expr: str) -> list[Series]:
        found = self.get("query", query=expr)["result"]
        return [Series(one["metric"], float(one["value"][1])) for one in found]

    def says(self, expr: str) -> bool:
        """Return whether there is a line to be seen."""
        return any(math.isfinite(one.value) for one in self.ask(expr))


def panel_queries() -> list[Asked]:
    found = []
    for path in sorted((FILES / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                where = f"{path.stem}: {panel['title']} {target['refId']}"
                found.append(Asked(where, filled_in(target["expr"]), target["legendFormat"]))
    return found


def filled_in(expr: str) -> str:
    chosen = {"$namespace": LABELS["namespace"], "$job": JOB, "$__rate_interval": "30s"}
    for variable, value in chosen.items():
        expr = expr.replace(variable, value)
    assert "$" not in re.sub(r'"\$1"', "", expr), expr
    return expr


def alerts() -> list[dict[str, Any]]:
    return [
        rule
        for group in yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"]
        for rule in group["rules"]
    ]


def load(url: str, stopped: threading.Event) -> None:
    """Do what clients do, mistakes included: known users, new ones, who ask again, and who react."""
    item_id = "0"
    with httpx.Client(base_url=url, timeout=60.0) as client:
        for turn in range(1_000_000):
            answer = client.post("/recommend", json={"user_id": f"u{turn % 150}"}).json()
            item_id = answer["items"][0]["item_id"]
            client.get("/recommend/nobody-yet")  # who shares the list of all newcomers
            client.post("/recommend", json={"user_id": "ada", "top_n": 1_000})  # 422
            client.get(f"/items/{item_id}-not")  # 404
            seen = {"event_id": f"e{turn}", "user_id": f"u{turn % 150}", "item_id": item_id, "kind": "watch"}
            client.post("/events", json=seen)
            if stopped.wait(0.05):
                return


@contextmanager
def loaded(url: str) -> Iterator[None]:
    stopped = threading.Event()
    thread = threading.Thread(target=load, args=(url, stopped))
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


@contextmanager
def changing(state_url: str) -> Iterator[None]:
    """Let an item come and go that the bundle does not know."""
    stopped = threading.Event()

    def run() -> None:
        with open_overlay(state_url) as store:
            for turn in range(1_000_000):
                now_s = time.time()
                store.put([ItemChange(item_id="late", available=turn % 2 == 0, since_s=now_s)], [now_s])
                if stopped.wait(4.0):
                    return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


@contextmanager
def process(*command: str) -> Iterator[None]:
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        started.terminate()
        started.wait()


@contextmanager
def rollout(args: GraphArgs, url: str, bundle: str) -> Iterator[None]:
    """Give half the users, and a shadow, to another bundle, and let a controller watch it."""
    store = FileTrafficStore(Path(args.traffic))
    change(
        store,
        lambda now: transitions.start(now, bundle, PLAN, rollout_id="r1", now_s=time.time(), by="test"),
    )
    home = str(Path(args.traffic).parent)
    with process(*MARQUEE, "rollout", "control", "--url", url, "--home", home, "--every", "1"):
        yield


@contextmanager
def live_loop(args: GraphArgs, home: Path, world: Dataset) -> Iterator[tuple[int, int]]:
    """Run ingest on the graph's event log, and a watcher with its exporter; yield the ports of both."""
    ingests, watches = free_ports(2)
    past = home / "past"
    write_past(past, args.registry, world)
    ingest = ["--from", str(args.event_log), "--state", args.state_url, "--lake", str(home / "lake")]
    watch = [
        "--events",
        str(past),
        "--state",
        str(home / "drift"),
        "--registry",
        args.registry,
    ]
    text = str(home / "drift" / METRICS_FILE)
    with ExitStack() as stack:
        stack.enter_context(process(*MARQUEE, "ingest", *ingest, "--metrics-port", str(ingests)))
        stack.enter_context(process(*MARQUEE, "drift", "watch", "--every", "1s", *watch))
        exporter = ("--host", "127.0.0.1", "--port", str(watches))
        stack.enter_context(process(*MARQUEE, "metrics", "--text", text, *exporter))
        yield ingests, watches


def write_past(folder: Path, registry: str, world: Dataset) -> None:
    """Write an event log of one day after the reference: what all of its people did, at their hours."""
    until_s = reference_of(registry, "stable").profile.until_s
    fields = ("user_id", "item_id", "value", "context")
    rows = world.interactions.with_columns(pl.col("time_s") % SECONDS_PER_DAY + until_s)
    with EventLogWriter(folder, "w") as writer:
        writer.append_durably(
            [
                Event(
                    event_id=f"e{number}",
                    kind=EventKind(row["kind"]),
                    time_s=row["time_s"],
                    **{name: row[name] for name in fields if row.get(name) is not None},
                )
                for number, row in enumerate(rows.sort("time_s").iter_rows(named=True))
            ]
        )


@contextmanager
def scraped(graph: RunningGraph, others: Sequence[int], folder: Path) -> Iterator[Prometheus]:
    """Run the exporter of a pod, and a Prometheus that scrapes it and others, with our alerts."""
    ours, own = free_ports(2)
    targets = [f"127.0.0.1:{port}" for port in (ours, *others)]
    scrape = {"job_name": JOB, "static_configs": [{"targets": targets, "labels": LABELS}]}
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(FILES / "alerts.yaml")],
        "scrape_configs": [scrape],
    }
    written = folder / "prometheus.yml"
    written.write_text(json.dumps(config))  # JSON is YAML
    figures = graph.replica_logs.parents[3] / "metrics"
    with ExitStack() as stack:
        stack.enter_context(
            process(*MARQUEE, "metrics", "--folder", str(figures), "--host", "127.0.0.1", "--port", str(ours))
        )
        stack.enter_context(
            process(
                "prometheus",
                f"--config.file={written}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{own}",
            )
        )
        yield Prometheus(f"http://127.0.0.1:{own}")


@pytest.fixture(scope="module")
def prometheus(
    trainer: Callable[[Path], Callable[[int], str]],
    simulated: Dataset,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Prometheus]:
    """Wait until whatever will ever be seen is there."""
    home = tmp_path_factory.mktemp("dashboards")
    other = trainer(home / "registry")(6)
    args = graph_args(home)
    begin_traffic(args)
    with ExitStack() as stack:
        port, ray = free_ports(2)
        running = running_graph(args, host="127.0.0.1", port=port, ray_metrics_port=ray)
        graph = stack.enter_context(running)
        stack.enter_context(rollout(args, graph.address, other))
        stack.enter_context(loaded(graph.address))
        stack.enter_context(changing(args.state_url))
        live = stack.enter_context(live_loop(args, home, simulated))
        found = stack.enter_context(scraped(graph, (ray, *live), home))
        wait_for_all(found)
        yield found


def wait_for_all(prometheus: Prometheus) -> None:
    give_up_s = time.monotonic() + PATIENCE_S
    waiting = [asked.expr for asked in panel_queries()]
    while waiting and time.monotonic() < give_up_s:
        time.sleep(1.0)
        try:
            waiting = [expr for expr in waiting if not prometheus.says(expr)]
        except httpx.HTTPError:  # it is not up, or not ready yet
            continue


def test_no_panel_is_empty(prometheus: Prometheus) -> None:
    empty = [f"{asked.panel}: {asked.expr}" for asked in panel_queries() if not prometheus.says(asked.expr)]
    assert empty == []


def test_every_line_of_a_panel_has_a_name(prometheus: Prometheus) -> None:
    for asked in panel_queries():
        wanted = re.findall(r"\{\{(\w+)\}\}", asked.legend)
        for one in prometheus.ask(asked.expr) if wanted else []:
            assert any(one.labels.get(label) for label in wanted), (asked.panel, one.labels)


@pytest.mark.parametrize(
    ("panel", "value"),
    [
        ("capacity: Replicas A", 6.0),  # two routers; recall and ranking of two lanes
        ("capacity: Replicas missing A", 0.0),
        ("capacity: Pods A", 1.0),
        ("rollouts: Canary's share A", 0.5),
        ("live: Dead letters A", 0.0),
        ("live: Lost A", 0.0),
        ("rollouts: Blind A", 0.0),
        ("rollouts: Refused bundles A", 0.0),
        ("serving: Errors A", 0.0),
        ("serving: Refused A", 0.0),
    ],
)
def test_numbers_say_what_is_so(prometheus: Prometheus, panel: str, value: float) -> None:
    (expr,) = (asked.expr for asked in panel_queries() if asked.panel == panel)
    assert [one.value for one in prometheus.ask(expr)] == [value]


def test_what_alerts_look_for_is_there(prometheus: Prometheus) -> None:
    asked = {found for rule in alerts() for found in re.findall(r"\bmarquee_\w+(?:\{[^}]*\})?", rule["expr"])}
    assert {one for one in asked if not prometheus.ask(one)} == set(NOT_IN_GOOD_HEALTH)


def test_every_alert_can_be_asked_and_none_fires_in_good_health(prometheus: Prometheus) -> None:
    rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules} == {rule["alert"] for rule in alerts()}
    assert {rule["name"]: rule.get("lastError", "") for rule in rules if rule["health"] != "ok"} == {}
    assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []
