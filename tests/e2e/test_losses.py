"""Pods that go, each under constant load: nobody's request fails, and nothing acknowledged is lost."""

import time
from collections.abc import Callable

import httpx
import pytest

from tests.e2e.bundles import Bundles
from tests.e2e.load import under_load
from tests.e2e.release import Release, wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

Say = Callable[[str], None]

_FOUND_S = 45.0  # after the head is back: Serve's controller looks for its replicas, or fails to find them


def test_the_controller_goes_while_it_ramps(running: Release, bundles: Bundles, say: Say) -> None:
    with under_load(running.url_there()) as load:
        running.upgrade("--set-string", f"model.bundle={bundles.better}")
        running.wait_for_phase("ramping")
        began_s = time.monotonic()
        running.delete_pod("controller")
        running.wait_for_phase("promoted")
    say(f"controller deleted mid-ramp: promoted {time.monotonic() - began_s:.0f} s later; {load.in_a_line()}")
    assert load.faults() == []
    assert set(load.report.bundles) == {bundles.first[:12], bundles.better[:12]}


def test_a_worker_pod_goes(running: Release, say: Say) -> None:
    with under_load(running.url_there()) as load:
        gone = running.delete_pod("worker")
        back_s = wait_until_whole(running, gone)
    say(f"worker pod deleted: two are ready after {back_s:.0f} s; {load.in_a_line()}")
    assert load.faults() == []


def test_redis_goes_and_what_was_acknowledged_is_still_known(running: Release, say: Say) -> None:
    """Ray's head ends over it and comes back; user state comes from the log on the volume."""
    seen = [str(item["item_id"]) for item in wait_for(running.answer, "an answer")["items"]]
    acknowledged(running, "ada", seen)
    head = running.ready("head")
    with under_load(running.url_there()) as load:
        began_s = time.monotonic()
        gone = running.delete_pod("redis")
        wait_for(lambda: others(running, "redis", gone), "another Redis")
        redis_s = time.monotonic() - began_s
        wait_for(lambda: knows(running, "ada", seen), "an answer that knows what was watched")
        known_s = time.monotonic() - began_s
        wait_for(lambda: others(running, "head", *head), "another head", at_most_s=180.0)
        head_s = time.monotonic() - began_s
        time.sleep(_FOUND_S)
    say(
        f"Redis pod deleted: another after {redis_s:.0f} s, state is back after {known_s:.0f} s, "
        f"Ray's head after {head_s:.0f} s; {load.in_a_line()}"
    )
    assert load.faults() == []


def test_the_head_pod_goes(running: Release, say: Say) -> None:
    with under_load(running.url_there()) as load:
        workers = running.ready("worker")
        began_s = time.monotonic()
        gone = running.delete_pod("head")
        wait_for(lambda: others(running, "head", gone), "another head", at_most_s=180.0)
        head_s = time.monotonic() - began_s
        time.sleep(_FOUND_S)
    say(f"head pod deleted: another after {head_s:.0f} s; {load.in_a_line()}")
    assert load.faults() == []
    assert set(workers) <= set(running.ready("worker"))


def others(release: Release, component: str, *gone: str) -> list[str] | None:
    """Return the pods that are ready and are not those."""
    return [uid for uid in release.ready(component) if uid not in gone] or None


def wait_until_whole(release: Release, gone: str) -> float:
    """Wait until two worker pods other than that one are ready; return after how many seconds."""
    began_s = time.monotonic()
    wait_for(lambda: (others(release, "worker", gone) or [])[1:] or None, "two worker pods")
    took_s = time.monotonic() - began_s
    wait_for(lambda: None if release.has_pod(gone) else True, "the end of the pod")
    return took_s


def acknowledged(release: Release, user_id: str, item_ids: list[str]) -> None:
    """Let a user watch items; return once the service has promised to remember it."""
    events = [
        {"event_id": f"{user_id}-{item_id}", "kind": "watch", "user_id": user_id, "item_id": item_id}
        for item_id in item_ids
    ]
    answer = httpx.post(f"{release.url_there()}/v1/events", json=events, timeout=10.0)
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text


def knows(release: Release, user_id: str, item_ids: list[str]) -> bool | None:
    """Return True once an answer with nothing missing has none of what the user has watched."""
    answer = release.answer(user_id)
    listed = {str(item["item_id"]) for item in answer["items"]} if answer is not None else set(item_ids)
    return None if listed & set(item_ids) else True
