"""A change of the pods themselves, under constant load: a second Ray cluster takes over from the first."""

import time
from collections.abc import Callable

import pytest

from tests.e2e.load import under_load
from tests.e2e.release import Release, wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

Say = Callable[[str], None]


def test_settings_of_the_graph_change_in_the_pods_that_are_there(running: Release, say: Say) -> None:
    before, pods = running.active_cluster(), set(running.ready("worker"))
    with under_load(running.url_there()) as load:
        began_s = time.monotonic()
        running.upgrade("--set", "serve.batch.max_size=32")
        wait_for(lambda: running.is_deploying() or None, "the change to begin", at_most_s=60.0)
        wait_for(lambda: not running.is_deploying() or None, "the change to end")
        took_s = time.monotonic() - began_s
    say(f"setting of the graph changed: all replicas are new after {took_s:.0f} s; {load.in_a_line()}")
    assert load.faults() == []
    assert running.active_cluster() == before
    assert pods <= set(running.ready("worker"))


def test_other_resources_bring_another_cluster(running: Release, say: Say) -> None:
    before = running.active_cluster()
    with under_load(running.url_there()) as load:
        began_s = time.monotonic()
        running.upgrade("--set", "ray.worker.resources.requests.memory=1100Mi")
        wait_for(lambda: other_cluster(running, before), "another active cluster", at_most_s=600.0)
        moved_s = time.monotonic() - began_s
        wait_for(lambda: None if clusters(running)[1:] else True, "the end of the first cluster")
        gone_s = time.monotonic() - began_s
    say(f"resources changed: moved over after {moved_s:.0f} s, the first gone after {gone_s:.0f} s")
    say(load.in_a_line())
    assert load.faults() == []


def other_cluster(release: Release, before: str) -> str | None:
    """Return the active cluster once it is another one."""
    now = release.active_cluster()
    return None if now == before else now


def clusters(release: Release) -> list[str]:
    """Return the names of the Ray clusters that there are."""
    return release.kubectl("get", "rayclusters", "--output", "name").split()
