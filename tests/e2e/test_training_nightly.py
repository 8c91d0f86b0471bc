"""The live loop on the cluster: events in the lake; CronJob -> RayJob -> registry -> canary, hands off."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import yaml

from recsys.lake.open import open_lake
from recsys.registry.local import LocalRegistry
from recsys.registry.reader import open_bundle
from recsys.registry.store import let_channel_name
from recsys.simulation.scenario import scenario_named
from recsys.simulation.writer import simulate
from recsys.training.kept_sums import bundle_of, kept_sums, open_sums
from tests.e2e.load import under_load
from tests.e2e.release import NAME, Release, wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

WORLD = scenario_named("tiny", n_users=500, n_items=300, n_events=20_000)
FIGURES = 9464  # metrics.port of the values
SEED = 7  # that of the bundles, so that what is served is known here, too
TRAINING = {"n_candidates": 100, "boosting": {"n_trees": 20}, "cross_fit": {"max_questions": 500}}
SMALL = {"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}}
VALUES = {
    "model": {"bundle": "candidate"},
    "ingest": {"enabled": True, "batchSeconds": 0.5, "resources": SMALL},
    "drift": {"enabled": True, "every": "5s", "retrain": "rayJob", "resources": SMALL},
    "training": {
        "schedule": "0 0 1 1 *",  # nobody waits for it: the test starts it by hand, as a schedule would
        "data": "/data/lake",
        "refresh": True,
        "gate": False,
        "rayJob": {"enabled": True, "numCpus": 1, "keptSeconds": 0},
        "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"memory": "4Gi"}},
    },
}


def test_events_land_in_the_lake_and_a_nightly_refresh_on_it_goes_live_by_canary(
    running: Release, files: Path, tmp_path: Path, say: Callable[[str], None]
) -> None:
    registry = LocalRegistry(files / "registry")
    parent = counted_from_scratch(files, tmp_path)
    let_channel_name(registry, parent, "candidate", by="test", now_s=0.0)
    n_before = events_in(files)
    values = tmp_path / "live.yaml"
    values.write_text(yaml.safe_dump(VALUES))
    with under_load(wait_for(running.url, "an address")) as load:  # some act on what they get
        running.upgrade("--values", str(values))
        wait_for(lambda: running.gives_all(parent), "answers by the bundle to begin with")
        running.wait_for_phase("promoted")
        began_s = time.monotonic()
        wait_for(lambda: events_in(files) >= n_before + 20 or None, "events in the lake", at_most_s=120.0)
        landed_s = time.monotonic() - began_s
        wait_for(lambda: watcher_looked(running), "a look of the watcher of drift")
        began_s = time.monotonic()
        running.kubectl("create", "job", f"--from=cronjob/{NAME}-training", "tonight")
        fresh = wait_for(lambda: another(registry, parent), "a bundle that the RayJob has made")
        made_s = time.monotonic() - began_s
        wait_for(lambda: running.gives_all(fresh), "answers by it alone")
        live_s = time.monotonic() - began_s
        running.wait_for_phase("promoted")
    say(
        f"20 events of the graph in the lake after {landed_s:.0f} s; CronJob -> RayJob: bundle after "
        f"{made_s:.0f} s, live after {live_s:.0f} s; {load.in_a_line()}"
    )
    running.kubectl("wait", "--for=condition=complete", "--timeout=120s", "job/tonight")
    job = running.kubectl("get", "rayjob", f"{NAME}-training", "--output", "jsonpath={.status.jobStatus}")
    assert job == "SUCCEEDED"
    meta = open_bundle(registry.get(fresh), feature_schema=None).manifest.meta
    assert meta["parent"] == parent
    assert "refresh" in meta, "what is different was counted, not everything"
    kept = kept_sums(open_sums(files / "registry"))
    assert fresh in {bundle_of(info) for info in kept}, "for the refresh after this one"
    assert load.faults() == []


def counted_from_scratch(files: Path, folder: Path) -> str:
    """Fill the lake with a world, and train a bundle on it whose sums are kept; return its name."""
    simulate(WORLD, SEED, folder / "world", n_workers=1)
    config = folder / "training.json"
    config.write_text(json.dumps(TRAINING))
    lake, registry = str(files / "lake"), str(files / "registry")
    marquee("lake", "import", str(folder / "world"), "--lake", lake)
    full = ("--full", "--no-gate", "--config", str(config), "--channel", "stable")
    marquee("retrain", "--data", lake, "--registry", registry, *full, home=folder)
    for path in files.rglob("*"):
        path.chmod(0o777 if path.is_dir() else 0o666)  # the image's user goes on with them
    name = LocalRegistry(files / "registry").channels().named_by("stable")
    assert name is not None
    return name


def marquee(*words: str, home: Path | None = None) -> None:
    """Run a command of ours on this machine, which is the node."""
    program = (sys.executable, "-c", "from recsys.cli.main import main; main()")
    environment = None if home is None else {**os.environ, "MARQUEE_HOME": str(home)}
    subprocess.run([*program, *words], check=True, env=environment, stdout=subprocess.DEVNULL)


def events_in(files: Path) -> int:
    """Return how many interactions the lake holds."""
    return open_lake(files / "lake").dataset().interactions.height


def watcher_looked(release: Release) -> bool | None:
    """Return True once the pod that watches drift serves the figures of a look."""
    addresses = (pod.status.pod_ip for pod in release.pods("drift") if pod.status is not None)
    for address in filter(None, addresses):
        with suppress(httpx.HTTPError):
            said = httpx.get(f"http://{address}:{FIGURES}/metrics", timeout=5.0)
            if "marquee_drift_looked_seconds" in said.text:
                return True
    return None


def another(registry: LocalRegistry, parent: str) -> str | None:
    """Return the candidate once it is another one."""
    named = registry.channels().named_by("candidate")
    return None if named == parent else named
