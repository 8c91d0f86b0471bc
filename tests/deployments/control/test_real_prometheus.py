"""A real Prometheus scrapes real counters of ours; what the controller reads there is what happened."""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest

from deployments.control.counters import PrometheusCounters
from recsys.core.clock import unix_clock
from recsys.core.errors import UnavailableError
from recsys.experiments.measurements import Figures, figures_of
from recsys.rollout.plan import DEFAULT_PLAN
from recsys.rollout.state import RolloutState

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("prometheus") is None, reason="no prometheus (Debian: apt-get install prometheus)"
    ),
]
PATIENCE_S = 60.0  # cores are shared
SCRAPED = """
import json, sys
from prometheus_client import start_http_server
from deployments.arm_figures import begin_at_zero
from deployments.metrics import ARM_ANSWERS, ARM_SECONDS, STAGE_SECONDS
begin_at_zero()
stages = [STAGE_SECONDS.labels(stage, lane) for stage in ("recall", "ranking") for lane in ("blue", "green")]
start_http_server(int(sys.argv[1]), addr="127.0.0.1")
print("listens", flush=True)
for line in sys.stdin:
    arm, what, n = json.loads(line)
    ARM_ANSWERS.labels(arm, what).inc(n)
    for _ in range(n if what == "answers" else 0):
        ARM_SECONDS.labels(arm).observe(0.004)
        STAGE_SECONDS.labels("recall", "blue" if arm == "stable" else "green").observe(0.02)
    print("counted", flush=True)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(done: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + PATIENCE_S
    while not done():
        if time.monotonic() > give_up_s:
            pytest.fail(f"not within {PATIENCE_S:g} s")
        time.sleep(0.1)


class Scraped:
    """A process with our counters, which can be told to count, and to die."""

    def __init__(self) -> None:
        self.port = free_port()
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", SCRAPED, str(self.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._hear("listens")

    def count(self, arm: str, what: str, n: int) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps([arm, what, n])}\n")
        self._process.stdin.flush()
        self._hear("counted")

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _hear(self, word: str) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == word


@dataclass
class Scene:
    """What is scraped, and who scrapes it."""

    scraped: Scraped
    url: str

    def value(self, query: str) -> float | None:
        """Return the one value of a query; None when there is none, or nobody answers."""
        try:
            answer = httpx.get(f"{self.url}/api/v1/query", params={"query": query}, timeout=10.0)
            found = answer.raise_for_status().json()["data"]["result"]
        except httpx.HTTPError:
            return None
        return float(found[0]["value"][1]) if found else None

    def wait_for(self, arm: str, what: str, value: float | None) -> None:
        """Wait until a counter has been scraped with this value."""
        query = f'sum(marquee_arm_answers_total{{arm="{arm}",what="{what}"}})'
        wait_until(lambda: self.value("vector(1)") == 1.0 and self.value(query) == value)

    def scrape(self) -> float:
        """Return a moment, Unix time, that lies between two scrapes."""
        at_s = unix_clock()
        wait_until(lambda: (self.value("max(timestamp(marquee_arm_answers_total))") or 0.0) > at_s)
        return at_s

    def n_samples(self, since_s: float) -> float:
        """Return how often the canary's answers have been scraped since a moment."""
        series = 'marquee_arm_answers_total{arm="canary",what="answers"}'
        window_ms = round(1_000 * (unix_clock() - since_s))
        return self.value(f"count_over_time({series}[{window_ms}ms])") or 0.0

    def read(self, since_s: float, selector: str = 'job="marquee"') -> dict[str, Figures]:
        """Return what the controller learns of each arm."""
        source = PrometheusCounters(self.url, clock=unix_clock, selector=selector)
        counted = source.read(_state(since_s))
        return {arm: figures_of(counters) for arm, counters in counted.since_step.items()}


def _state(since_s: float) -> RolloutState:
    return RolloutState(
        id="r1",
        plan=DEFAULT_PLAN,
        bundle="b" * 16,
        lane="green",
        stable_bundle="a" * 16,
        stable_lane="blue",
        since_s=since_s,
    )


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Start both, and end both: Prometheus takes seconds to find what it scrapes."""
    folder = tmp_path_factory.mktemp("prometheus")
    scraped = Scraped()
    port = free_port()
    scrape = {
        "job_name": "marquee",
        "scrape_interval": "500ms",
        "scrape_timeout": "500ms",
        "static_configs": [{"targets": [f"127.0.0.1:{scraped.port}"]}],
    }
    config = folder / "prometheus.yml"
    config.write_text(json.dumps({"scrape_configs": [scrape]}))  # JSON is YAML
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield Scene(scraped, f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait()
        scraped.kill()


@pytest.fixture
def scene(both: Scene) -> Scene:
    """Begin with counters at zero that have been scraped."""
    both.scraped.kill()
    both.scraped.start()
    both.scraped.count("stable", "empty", 1)  # a mark, for zeros of before look the same
    both.wait_for("stable", "empty", 1.0)
    both.scraped.kill()
    both.scraped.start()
    both.wait_for("stable", "empty", 0.0)
    return both


def test_each_arm_has_risen_by_what_was_counted_since_the_step_began(scene: Scene) -> None:
    scene.scraped.count("stable", "answers", 500)
    scene.wait_for("stable", "answers", 500.0)
    since_s = unix_clock()
    for arm, what, n in (("stable", "answers", 90), ("canary", "answers", 30), ("canary", "errors", 1)):
        scene.scraped.count(arm, what, n)
        scene.wait_for(arm, what, {"stable": 590.0, "canary": float(n)}[arm])
    figures = scene.read(since_s)
    assert (figures["stable"].answers, figures["stable"].errors) == (90, 0)
    assert (figures["canary"].answers, figures["canary"].errors) == (30, 1)
    assert figures["stable"].latency["answer"].n == 90
    assert figures["canary"].latency["recall"].n == 30  # stages are timed by lane, and green is the canary's
    assert 0.003 < (figures["canary"].latency["answer"].quantile(0.99) or 0.0) <= 0.005


def test_what_was_counted_before_a_restart_is_not_forgotten(scene: Scene) -> None:
    scene.scraped.count("canary", "answers", 1_000)
    scene.wait_for("canary", "answers", 1_000.0)
    since_s = scene.scrape()
    scene.scraped.count("canary", "answers", 200)
    scene.wait_for("canary", "answers", 1_200.0)
    scene.scraped.kill()
    scene.wait_for("canary", "answers", None)
    assert scene.value("sum(up)") == 0.0
    scene.scraped.start()
    scene.wait_for("canary", "answers", 0.0)
    scene.scraped.count("canary", "answers", 100)
    scene.wait_for("canary", "answers", 100.0)
    wait_until(lambda: scene.n_samples(since_s) >= 23)
    canary = scene.read(since_s)["canary"]
    # Prometheus stretches at each end by 1.1 times the mean gap between samples at most: 2.2 of 22 gaps.
    assert 300 <= canary.answers <= 330
    assert 300 <= canary.latency["answer"].n <= 330


def test_a_service_that_is_no_longer_scraped_is_no_measurement(scene: Scene) -> None:
    since_s = scene.scrape()
    assert "canary" in scene.read(since_s)
    scene.scraped.kill()
    scene.wait_for("canary", "answers", None)
    with pytest.raises(UnavailableError, match="no samples of the service"):
        scene.read(since_s)


def test_a_selector_that_is_none_or_finds_nothing_is_no_measurement(scene: Scene) -> None:
    with pytest.raises(UnavailableError, match=r"400: .*parse error"):
        scene.read(unix_clock(), selector="job=marquee")
    with pytest.raises(UnavailableError, match="no samples of the service"):
        scene.read(unix_clock(), selector='job="another"')


def test_old_samples_are_no_measurement(scene: Scene) -> None:
    late = PrometheusCounters(scene.url, clock=lambda: unix_clock() + 200.0, selector='job="marquee"')
    with pytest.raises(UnavailableError, match=r"the newest sample is (199|20\d) s old"):
        late.read(_state(unix_clock()))
