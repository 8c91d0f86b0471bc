"""What people with kubectl see, on a real API server."""

import pytest
from kubernetes.client import CoreV1Api, CoreV1Event

from deployments.kubernetes.address import ConfigMapAddress
from deployments.kubernetes.reports import KubernetesReports
from recsys.rollout import transitions
from recsys.rollout.plan import DEFAULT_PLAN
from recsys.rollout.traffic import TrafficDocument, first_document
from recsys.rollout.wanted import Action, Move, Wanted

pytestmark = pytest.mark.cluster

A, B = "a" * 16, "b" * 16
NOW_S = 1_800_000_000.0
FIRST = first_document(A, salt="s", updated_s=NOW_S)
STARTED = transitions.start(FIRST, B, DEFAULT_PLAN, rollout_id="r1", now_s=NOW_S, by="ada")
ABORTED = transitions.abort(STARTED, now_s=NOW_S + 1.0, by="controller", why="the bundle is refused")
FINE = Move(Action.NOTHING, "users have it")
REFUSED = Move(Action.BLOCKED, "no bundle named 'ab'", "register the bundle")


class Seen:
    """A reporter's namespace, and what is found in it."""

    def __init__(self, api: CoreV1Api, namespace: str) -> None:
        self._api = api
        self._namespace = namespace

    def born(self) -> KubernetesReports:
        return KubernetesReports(
            self._api, ConfigMapAddress(self._namespace, "shop-rollout"), clock=lambda: NOW_S
        )

    def report(self, document: TrafficDocument | None, move: Move = FINE) -> None:
        self.born().report(document, Wanted(bundle=B), move)

    def events(self) -> list[tuple[str | None, str | None]]:
        found: list[CoreV1Event] = self._api.list_namespaced_event(self._namespace).items
        about = [event for event in found if event.involved_object.name == "shop-rollout"]
        return sorted((event.type, event.reason) for event in about)

    def event(self, reason: str) -> CoreV1Event:
        return next(
            one for one in self._api.list_namespaced_event(self._namespace).items if one.reason == reason
        )

    def map(self) -> tuple[dict[str, str], str | None]:
        found = self._api.read_namespaced_config_map("shop-rollout", self._namespace)
        assert found.metadata is not None
        return found.data or {}, found.metadata.resource_version

    def drop(self) -> None:
        self._api.delete_namespaced_config_map("shop-rollout", self._namespace)


@pytest.fixture
def seen(cluster: CoreV1Api, namespace: str) -> Seen:
    return Seen(cluster, namespace)


def test_the_map_says_how_it_stands(seen: Seen) -> None:
    seen.report(STARTED)
    data, _ = seen.map()
    assert (data["phase"], data["bundle"], data["canary"], data["wanted"]) == ("preparing", A, B, B)
    assert "lane green prepares" in data["history"]


def test_the_map_is_written_only_when_something_has_happened(seen: Seen) -> None:
    seen.report(STARTED)
    before = seen.map()
    seen.report(STARTED)
    assert seen.map() == before
    seen.report(ABORTED)
    assert seen.map()[0]["phase"] == "aborted"


def test_a_map_that_somebody_deleted_comes_back(seen: Seen) -> None:
    seen.report(STARTED)
    seen.drop()
    seen.report(STARTED)
    assert seen.map()[0]["phase"] == "preparing"


def test_every_decision_is_one_event_whoever_tells_it_how_often(seen: Seen) -> None:
    seen.report(FIRST)
    seen.report(STARTED)
    seen.report(ABORTED)
    seen.report(ABORTED)
    assert seen.events() == [("Normal", "RolloutStarted"), ("Warning", "RolloutAborted")]
    seen.drop()  # what was told is forgotten
    seen.report(ABORTED)
    assert len(seen.events()) == 2
    assert seen.event("RolloutAborted").message == (
        f"r1: bundle {B}, 0.0% of users: the bundle is refused (by controller)"
    )


def test_decisions_made_while_nobody_told_are_told_later(seen: Seen) -> None:
    seen.report(STARTED)
    again = transitions.settle(ABORTED, now_s=NOW_S + 30.0, by="controller")
    seen.report(again)
    assert [reason for _, reason in seen.events()] == ["RolloutSettled", "RolloutStarted", "RolloutAborted"]


def test_a_refusal_is_one_warning_however_long_it_lasts(seen: Seen) -> None:
    reports = seen.born()
    for _ in range(3):
        reports.report(None, None, REFUSED)
    seen.report(None, REFUSED)
    assert seen.events() == [("Warning", "Refused")]
    assert seen.event("Refused").message == "no bundle named 'ab'; register the bundle"


def test_kubectl_describe_finds_the_events_by_the_object(seen: Seen) -> None:
    seen.report(STARTED)
    about = seen.event("RolloutStarted").involved_object
    assert (about.kind, about.name) == ("ConfigMap", "shop-rollout")
    assert about.uid
