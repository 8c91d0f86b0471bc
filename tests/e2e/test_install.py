"""From an empty namespace to the first good answer and back, on a real cluster with KubeRay's operator."""

import time
from collections.abc import Callable

import pytest

from tests.e2e.release import Release, wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

KINDS = "all,configmap,lease,role,rolebinding,serviceaccount,pvc,secret,rayservice,raycluster,networkpolicy"
OWN = ("configmap/kube-root-ca.crt", "serviceaccount/default")  # every namespace has them


def test_from_nothing_to_the_first_full_answer_and_back_to_nothing(
    releases: Callable[..., Release], say: Callable[[str], None]
) -> None:
    release = releases()
    began_s = time.monotonic()
    release.install()
    wait_for(release.url, "a Service with an address", at_most_s=900.0)
    running_s = time.monotonic() - began_s
    answer = wait_for(release.answer, "an answer with nothing missing", at_most_s=900.0)
    say(f"helm install: answers after {running_s:.0f} s, in full after {time.monotonic() - began_s:.0f} s")
    assert len(answer["items"]) == 10
    assert answer["arm"] == "stable"
    status = release.ray_service()["status"]["activeServiceStatus"]
    assert status["applicationStatuses"]["marquee"]["status"] == "RUNNING"
    document = release.document()
    assert document.bundle_of(document.arms[0]) == answer["bundle"]

    began_s = time.monotonic()
    assert "Phase:          Succeeded" in release.helm("test", "mq", "--timeout", "5m")
    say(f"helm test: passes after {time.monotonic() - began_s:.0f} s")

    began_s = time.monotonic()
    release.helm("uninstall", "mq")
    wait_for(lambda: None if left(release) else True, "nothing to be left", at_most_s=300.0)
    say(f"helm uninstall: nothing is left after {time.monotonic() - began_s:.0f} s")


def left(release: Release) -> list[str]:
    """Return the objects in the namespace that were not there from the start."""
    found = release.kubectl("get", KINDS, "--output", "name", "--ignore-not-found").split()
    return [name for name in found if name not in OWN]
