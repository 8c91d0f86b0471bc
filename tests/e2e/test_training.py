"""A training on the cluster, a RayJob of the chart for jobs: its bundle goes live by canary, hands off."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys.registry.local import LocalRegistry
from recsys.rollout.wanted import candidate_of
from recsys.simulation.scenario import scenario_named
from recsys.simulation.writer import simulate
from tests.e2e.bundles import Bundles
from tests.e2e.load import under_load
from tests.e2e.release import CHART, Release, run, wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

JOB = CHART.parent / "marquee-job"
LATER_WORLD = scenario_named("tiny", n_users=300, n_items=300, n_events=10_000)


def test_what_a_ray_job_trains_goes_live_by_canary(
    running: Release, bundles: Bundles, files: Path, say: Callable[[str], None]
) -> None:
    simulate(LATER_WORLD, 11, files / "later", n_workers=1)
    (files / "later").chmod(0o755)
    with under_load(running.url_there()) as load:
        running.upgrade("--set", "model.bundle=candidate")
        assert _candidate(files) is None, "nobody has named a candidate yet"
        began_s = time.monotonic()
        run("helm", "install", "training", str(JOB), *_values(running, files))
        candidate = wait_for(lambda: _candidate(files), "a bundle that the job has trained")
        trained_s = time.monotonic() - began_s
        wait_for(lambda: running.gives_all(candidate), "answers by it alone")
        live_s = time.monotonic() - began_s
        running.wait_for_phase("promoted")
    run("helm", "uninstall", "training", "--namespace", running.namespace)
    say(f"RayJob: trained after {trained_s:.0f} s, live after {live_s:.0f} s; {load.in_a_line()}")
    assert set(load.report.bundles) == {bundles.first[:12], candidate[:12]}
    assert candidate not in {bundles.first, bundles.better, bundles.faulty}
    assert load.faults() == []


def _values(release: Release, files: Path) -> list[str]:
    set_to = {
        "image.tag": "dev",
        "persistence.kind": "hostPath",
        "persistence.hostPath": files,
        "ray.head.numCpus": 1,
        "ray.head.resources.requests.cpu": "100m",
        "ray.head.resources.requests.memory": "1Gi",
        "command": "{train,--data,/data/later,--channel,candidate}",
    }
    pairs = [part for key, value in set_to.items() for part in ("--set", f"{key}={value}")]
    return [*pairs, "--namespace", release.namespace]


def _candidate(files: Path) -> str | None:
    """Return what somebody has put there: the controller's own moves, of other tests' rollouts, are none."""
    return candidate_of(LocalRegistry(files / "registry").channels(), controller="controller")
