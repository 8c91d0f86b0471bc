"""A sweep on the cluster: a RayJob of the chart for jobs, with the image that has Optuna and pandas."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recsys.registry.local import LocalRegistry
from recsys.registry.reader import open_bundle
from recsys.simulation.scenario import scenario_named
from recsys.simulation.writer import simulate
from tests.e2e.release import CHART, Release, run, wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

JOB = CHART.parent / "marquee-job"
WORLD = scenario_named("tiny", n_users=300, n_items=300, n_events=10_000)
SWEEP = """
[budget]
trials = 3
minutes = 10
look_every_trees = 10
grace_trees = 20
[fixed]
"cross_fit.max_questions" = 500
"cross_fit.n_candidates" = 50
"n_candidates" = 100
"boosting.n_trees" = 20
[space.ranker]
"boosting.max_depth" = {low = 2, high = 5}
"""


def test_a_sweep_ends_in_a_bundle_of_the_registry(
    releases: Callable[..., Release], files: Path, say: Callable[[str], None]
) -> None:
    namespace = releases().namespace
    simulate(WORLD, 5, files / "swept", n_workers=1)
    (files / "swept").chmod(0o755)
    (files / "tiny.toml").write_text(SWEEP)
    began_s = time.monotonic()
    run("helm", "install", "sweep", str(JOB), *_values(files), "--namespace", namespace)
    report = wait_for(lambda: _report(files), "the sweep's report")
    say(f"RayJob: 3 trials, refit and bundle after {time.monotonic() - began_s:.0f} s")
    assert len((files / "sweeps" / "first" / "trials.jsonl").read_text().splitlines()) >= 3
    reader = open_bundle(LocalRegistry(files / "registry").get(report["bundle"]), feature_schema=None)
    assert reader.manifest.meta
    run("helm", "uninstall", "sweep", "--namespace", namespace)


def _values(files: Path) -> list[str]:
    command = "tune --data /data/swept --sweep /data/tiny.toml --address auto --out /data/sweeps/first"
    set_to = {
        "image.repository": "marquee-batch",
        "image.tag": "dev",
        "persistence.kind": "hostPath",
        "persistence.hostPath": files,
        "ray.head.numCpus": 1,
        "ray.head.resources.requests.cpu": "100m",
        "ray.head.resources.requests.memory": "1Gi",
        "command": f"{{{','.join(command.split())}}}",
    }
    return [part for key, value in set_to.items() for part in ("--set", f"{key}={value}")]


def _report(files: Path) -> dict[str, Any] | None:
    """Return the report once it tells of a bundle: it is written before the refit, too."""
    path = files / "sweeps" / "first" / "report.json"
    found: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
    return found if found.get("bundle") else None
