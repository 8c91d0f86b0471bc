"""Each alert fires when it should and is silent when it should not, as Prometheus' own tool has it."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RULES = ROOT / "charts" / "marquee" / "files" / "alerts.yaml"
ALERTS = re.findall(r"- alert: (\w+)", RULES.read_text())
RUNBOOKS = re.findall(r"runbook_url: (\S+)", RULES.read_text())

MINUTES = 120
Series = dict[str, str]

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="no promtool (Debian: apt-get install prometheus)"
)


TARGET = {"namespace": "prod", "job": "prod/films", "pod": "films-worker-1"}
"""What Prometheus adds to whatever it scrapes."""


def series(name: str, values: str, /, **labels: str) -> Series:
    """Return a series of one pod; values in promtool's notation, one per minute."""
    shown = ",".join(f'{key}="{value}"' for key, value in {**TARGET, **labels}.items())
    return {f"marquee_{name}{{{shown}}}": values}


def rising(name: str, per_minute: float, /, **labels: str) -> Series:
    return series(name, f"0+{per_minute:g}x{MINUTES}", **labels)


def gauge(name: str, value: float, /, **labels: str) -> Series:
    return series(name, f"{value:g}x{MINUTES}", **labels)


def requests(per_minute: float, status: str = "200") -> Series:
    others = rising("requests_total", 6, route="/healthz", status="200")
    return rising("requests_total", per_minute, route="/recommend", status=status) | others


def answers(per_minute: float, what: str = "answers", arm: str = "stable") -> Series:
    return rising("arm_answers_total", per_minute, arm=arm, what=what)


def took(fast: float, slow: float) -> Series:
    """Return requests per minute that took at most 0.1 s, and those that took more but at most a second."""
    buckets: Series = {}
    for edge_s, per_minute in (("0.1", fast), ("1.0", fast + slow), ("+Inf", fast + slow)):
        buckets |= rising("request_seconds_bucket", per_minute, route="/recommend", le=edge_s)
    return buckets


def shed(per_minute: float, kind: str = "recommend") -> Series:
    return rising("shed_total", per_minute, kind=kind, why="late")


def dropped(values: str) -> Series:
    return series("exposures_total", values, fate="dropped")


def refused(value: float) -> Series:
    return gauge("bundle_info", value, lane="green", bundle="b", state="refused")


def refreshed(values: str = f"0+60x{MINUTES}", **labels: str) -> Series:
    return series("refreshed_seconds", values, **labels)


def dead_letters(values: str) -> Series:
    return series("ingest_dead_letters_total", values, reason="malformed", pod="films-ingest")


def looked(values: str) -> Series:
    return series("drift_looked_seconds", values, pod="films-drift")


def ingest(name: str, values: str, **labels: str) -> Series:
    return series(f"ingest_{name}", values, pod="films-ingest", **labels)


HEALTHY: Series = (
    requests(600)
    | requests(1, "422")
    | requests(1, "503")
    | answers(500)
    | answers(5, "degraded")
    | took(990, 1)
    | shed(6)
    | gauge("traffic_version", 7)
    | gauge("traffic_unusable", 0)
    | gauge("bundle_info", 1, lane="blue", bundle="a", state="in_force")
    | refused(0)
    | gauge("rollout_blind", 0)
    | gauge("rollout_due_seconds", 0)
    | dropped("3x120")  # of last week
    | gauge("state_errors_total", 4, call="read")
    | gauge("entries_later", 0)
    | refreshed()
    | gauge("ingest_behind_seconds", 2, pod="films-ingest")
    | gauge("ingest_lag", 3, source="shop.events/0", pod="films-ingest")
    | rising("ingest_commits_total", 30, pod="films-ingest")
    | dead_letters("2x120")  # of last week
    | series("ingest_troubles_total", "4x120", part="lake", pod="films-ingest")
    | series("ingest_missing_total", "0x120", pod="films-ingest")
    | gauge("drift_alarmed", 0, feature="tag", pod="films-drift")
    | looked("0+60x120")
)
"""A service with the small troubles that every service has."""

NOBODY: Series = {name: values for name, values in HEALTHY.items() if "_total" not in name}
"""A service that nobody asks anything."""

ALL_ERRORS = requests(0) | requests(60, "503")

FIRES: dict[str, tuple[str, Series, set[str]]] = {
    "all answers are errors": ("MarqueeNoAnswers", ALL_ERRORS, {"MarqueeErrors", "MarqueeShedding"}),
    "no router has anything to answer by": ("MarqueeNoAnswers", gauge("traffic_version", 0), set()),
    "one in fifty is an error": ("MarqueeErrors", requests(12, "500"), set()),
    "a tenth has something missing": ("MarqueeDegraded", answers(50, "degraded"), set()),
    "two in a hundred are slow": ("MarqueeSlow", took(980, 20), set()),
    "a tenth is refused": ("MarqueeShedding", shed(70), set()),
    "the document is broken": ("MarqueeTrafficUnusable", gauge("traffic_unusable", 1), set()),
    "a lane refuses a bundle": ("MarqueeBundleRefused", refused(1), set()),
    "nobody sees the canary": ("MarqueeRolloutBlind", gauge("rollout_blind", 1), set()),
    "the controller is gone": ("MarqueeRolloutStuck", gauge("rollout_due_seconds", 60), set()),
    "the disk is full": ("MarqueeExposuresDropped", dropped("0x110 5x10"), set()),
    "the state is down": ("MarqueeStateErrors", rising("state_errors_total", 30, call="read"), set()),
    "events wait for the state": ("MarqueeStateErrors", gauge("entries_later", 1), set()),
    "a router hangs": ("MarqueeMetricsStale", refreshed("0x120"), set()),
    "no pod is scraped any more": ("MarqueeMetricsStale", refreshed("0+60x90"), set()),
    "events wait for ingest": ("MarqueeIngestBehind", ingest("behind_seconds", "600x120"), set()),
    "a producer sends nonsense": ("MarqueeIngestDeadLetters", dead_letters("2x110 5x10"), set()),
    "the lake has no room": (
        "MarqueeIngestTroubles",
        ingest("troubles_total", "0+4x120", part="lake"),
        set(),
    ),
    "retention was faster": ("MarqueeIngestLost", ingest("missing_total", "0x100 9x20"), set()),
    "ingest is gone": ("MarqueeIngestGone", ingest("commits_total", "0+30x90"), set()),
    "tastes have shifted": (
        "MarqueeDrift",
        gauge("drift_alarmed", 1, feature="tag", pod="films-drift"),
        set(),
    ),
    "the watcher hangs": ("MarqueeDriftSilent", looked("0x120"), set()),
    "the watcher is gone": ("MarqueeDriftSilent", looked("0+60x90"), set()),
}
"""What happens on top of a healthy service -> which alert fires, and which others may too."""

SILENT: dict[str, Series] = {
    "all is well": HEALTHY,
    "nobody asks": NOBODY,
    "one error in a quiet night": NOBODY
    | series("requests_total", "0x116 1x4", route="/recommend", status="500"),
    "one in two hundred is an error": HEALTHY | requests(3, "500"),
    "the shadow is degraded": HEALTHY | answers(500, arm="shadow") | answers(500, "degraded", "shadow"),
    "events are shed, not recommendations": HEALTHY | shed(900, "events"),
    "a document was broken a while ago": HEALTHY | series("traffic_unusable", "1x60 0x60"),
    "the rollout is at a long step": HEALTHY | gauge("rollout_due_seconds", 7_000),
    "the rollout waits for data for half an hour": HEALTHY | gauge("rollout_due_seconds", 5_400),
    "there is no service": {},
    "exposures were dropped an hour ago": HEALTHY | dropped("0x50 5x70"),
    "old events came, and none waits": HEALTHY
    | ingest("behind_seconds", "9000x120")
    | ingest("lag", "0x120", source="shop.events/0"),
    "events waited for five minutes": HEALTHY | ingest("behind_seconds", "2x115 600x5"),
    "a dead letter came an hour ago": HEALTHY | dead_letters("2x50 3x70"),
    "redis was away for a minute": HEALTHY | ingest("troubles_total", "4x100 8x20", part="lake"),
    "the watcher waits for a training": HEALTHY | looked("0+60x90 5400x30"),
    "nothing of the live loop is installed": {
        name: values for name, values in HEALTHY.items() if "_ingest_" not in name and "_drift_" not in name
    },
    "one pod of two is gone": HEALTHY | refreshed("0+60x90", pod="films-worker-2"),
}


def firing(seen: Series, folder: Path) -> set[str]:
    """Return which alerts fire after two hours."""
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in seen.items()],
        "promql_expr_test": [{"expr": 'ALERTS{alertstate="firing"}', "eval_time": "2h", "exp_samples": []}],
    }
    file = folder / "test.json"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}))
    done = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    found = set(re.findall(r'alertname="(\w+)"', said))
    assert found or done.returncode == 0, said
    return found


@needs_promtool
@pytest.mark.parametrize("case", FIRES)
def test_it_fires(case: str, tmp_path: Path) -> None:
    alert, trouble, others = FIRES[case]
    found = firing(HEALTHY | trouble, tmp_path)
    assert alert in found
    assert found - {alert} <= others


@needs_promtool
@pytest.mark.parametrize("case", SILENT)
def test_it_is_silent(case: str, tmp_path: Path) -> None:
    assert firing(SILENT[case], tmp_path) == set()


def test_every_alert_has_been_seen_firing() -> None:
    assert {alert for alert, *_ in FIRES.values()} == set(ALERTS)


def test_every_alert_has_a_runbook_of_its_own() -> None:
    assert [f"docs/runbooks.md#{alert.lower()}" for alert in ALERTS] == RUNBOOKS
    titles = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbooks.md").read_text(), re.MULTILINE)
    assert titles == ALERTS


@needs_promtool
def test_prometheus_accepts_the_rules() -> None:
    subprocess.run(["promtool", "check", "rules", str(RULES)], check=True, capture_output=True)
