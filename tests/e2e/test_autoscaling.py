"""Load comes and goes on the cluster: replicas follow, then pods."""

import time
from collections.abc import Callable

import pytest

from tests.e2e.bundles import Bundles
from tests.e2e.load import under_load
from tests.e2e.release import Release, wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

BOUNDS = {"least": 1, "most": 3}
SCALING = {
    "router": {"least": 1, "most": 1},
    "recall": BOUNDS,
    "ranking": BOUNDS,
    "utilisation": 0.02,  # a busy machine leaves the test a small part of a core: that is load enough
    "hold_s": 10.0,
    "window_s": 5.0,
}
RATE_PER_S = 30.0


def test_replicas_then_pods_follow_the_load_and_return(
    releases: Callable[..., Release], bundles: Bundles, say: Callable[[str], None]
) -> None:
    replicas = {"replicas": 1, "cpus": 0.25}
    release = releases(
        demo={"enabled": False},
        model={"bundle": bundles.first},
        ray={
            "worker": {"minReplicas": 1, "maxReplicas": 2, "numCpus": 1},
            "autoscaler": {"idleTimeoutSeconds": 10},
        },
        serve={
            "autoscaling": SCALING,
            "cache": {"enabled": False},
            "overload": {"max_wait_s": 3.0},
            "router": replicas,
            "recall": replicas,
            "ranking": replicas,
        },
    )
    release.install()
    wait_for(release.answer, "the first full answer", at_most_s=900.0)
    assert len(release.pods("worker")) == 1
    began_s = time.monotonic()
    with under_load(release.url_there(), rate_per_s=RATE_PER_S) as load:
        wait_for(lambda: release.pods("worker")[1:] or None, "a second worker pod")
        asked_s = time.monotonic() - began_s
        wait_for(lambda: release.ready("worker")[1:] or None, "a second worker pod that serves")
        ready_s = time.monotonic() - began_s
    began_s = time.monotonic()
    wait_for(lambda: None if release.pods("worker")[1:] else True, "one worker pod again")
    back_s = time.monotonic() - began_s
    say(f"{RATE_PER_S:.0f}/s: a second pod is asked for after {asked_s:.0f} s, ready after {ready_s:.0f} s")
    say(f"load gone: one pod again after {back_s:.0f} s; {load.in_a_line()}")
    assert load.faults() == []
