"""Bundles by ``helm upgrade`` under constant load: a good one, a bad one, one that is not there, and back."""

import time
from collections.abc import Callable

import pytest

from tests.e2e.bundles import Bundles
from tests.e2e.load import under_load
from tests.e2e.release import Release, wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

Say = Callable[[str], None]


@pytest.fixture
def url(running: Release) -> str:
    """Where the service answers."""
    return running.url_there()


def test_a_canary_is_promoted_and_taken_back_by_helm(
    running: Release, bundles: Bundles, url: str, say: Say
) -> None:
    with under_load(url) as load:
        began_s = time.monotonic()
        running.upgrade("--set-string", f"model.bundle={bundles.better}")
        running.wait_for_phase("ramping")
        running.wait_for_phase("holding", "promoted")
        promoted_s = time.monotonic() - began_s
        wait_for(lambda: running.gives_all(bundles.better), "answers by the new bundle")
        running.wait_for_phase("promoted")
        began_s = time.monotonic()
        running.helm("rollback", "mq")
        wait_for(lambda: running.gives_all(bundles.first), "answers by the first bundle")
        back_s = time.monotonic() - began_s
        running.wait_for_phase("promoted")
    say(f"helm upgrade of the bundle: promoted after {promoted_s:.0f} s; {load.in_a_line()}")
    say(f"helm rollback: the first bundle serves all after {back_s:.0f} s")
    assert load.faults() == []
    assert set(load.report.bundles) == {bundles.first[:12], bundles.better[:12]}


def test_a_rollback_while_the_old_bundle_is_loaded_takes_effect_at_once(
    running: Release, bundles: Bundles, url: str, say: Say
) -> None:
    with under_load(url) as load:
        running.upgrade("--set-string", f"model.bundle={bundles.better}", "--set", "rollout.hold=10m")
        running.wait_for_phase("holding")
        began_s = time.monotonic()
        running.upgrade("--set", "rollout.hold=10m")
        running.wait_for_phase("aborted")
        say(f"back while the old bundle is on hold: {time.monotonic() - began_s:.0f} s")
        wait_for(lambda: running.gives_all(bundles.first), "answers by the first bundle")
    say(load.in_a_line())
    assert load.faults() == []


def test_a_bad_bundle_is_taken_back(running: Release, bundles: Bundles, url: str, say: Say) -> None:
    with under_load(url) as load:
        began_s = time.monotonic()
        running.upgrade("--set-string", f"model.bundle={bundles.faulty}")
        told = wait_for(lambda: told_of(running, "was taken back"), "its end")
        say(f"bad bundle: taken back after {time.monotonic() - began_s:.0f} s, {told['why']}")
        wait_for(lambda: running.gives_all(bundles.first), "answers by the first bundle")
    say(load.in_a_line())
    assert load.faults() == []
    assert "degraded_share" in told["why"]
    assert "model.attempt" in told["what_to_do"]
    assert any(one.startswith("RolloutAborted") for one in running.warnings())


def test_a_bundle_that_is_not_there_is_refused_and_users_keep_theirs(
    running: Release, bundles: Bundles, url: str
) -> None:
    with under_load(url) as load:
        running.upgrade("--set-string", "model.bundle=0123456789abcdef")
        told = wait_for(lambda: told_of(running, "no bundle named"), "a refusal", at_most_s=60.0)
    assert load.faults() == []
    assert "no bundle named '0123456789abcdef'" in told["why"]
    assert told["what_to_do"].startswith("register the bundle")
    assert any(one.startswith("Refused") and "0123456789abcdef" in one for one in running.warnings())
    assert "0123456789abcdef" not in running.document().model_dump_json()  # what was before may settle
    assert running.gives_all(bundles.first)
    assert set(load.report.bundles) == {bundles.first[:12]}


def told_of(release: Release, what: str) -> dict[str, str] | None:
    """Return what people are told once it is this."""
    told = release.standing()
    return told if what in told.get("why", "") else None
