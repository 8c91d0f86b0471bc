"""Who leads, on a real API server; clocks are arguments."""

import pytest
from kubernetes.client import CoordinationV1Api, CoreV1Api, V1Lease, V1LeaseSpec

from deployments.kubernetes.address import ConfigMapAddress
from deployments.kubernetes.connection import api_client
from deployments.kubernetes.lease import Lease

pytestmark = pytest.mark.cluster


class Process:
    """A controller's process with a clock of its own."""

    def __init__(self, api: CoordinationV1Api, address: ConfigMapAddress, name: str, now_s: float) -> None:
        self.now_s = now_s
        self.lease = Lease(
            api,
            address,
            holder=name,
            lasts_s=15,
            clock=lambda: 1_000.0 + self.now_s,
            elapsed=lambda: self.now_s,
        )


class Group:
    """Processes that want the same Lease, whose clocks were set differently."""

    def __init__(self, api: CoordinationV1Api, namespace: str) -> None:
        self.api = api
        self.address = ConfigMapAddress(namespace, "leader")

    def process(self, name: str, now_s: float = 0.0) -> Process:
        return Process(self.api, self.address, name, now_s)

    def spec(self) -> V1LeaseSpec:
        found: V1Lease = self.api.read_namespaced_lease(self.address.name, self.address.namespace)
        assert found.spec is not None
        return found.spec


@pytest.fixture
def group(cluster: CoreV1Api, namespace: str) -> Group:
    return Group(CoordinationV1Api(api_client()), namespace)


def test_the_first_leads_and_the_second_waits(group: Group) -> None:
    ada, bob = group.process("ada"), group.process("bob", now_s=5_000.0)
    assert ada.lease.held()
    assert not bob.lease.held()
    assert group.spec().holder_identity == "ada"


def test_who_renews_goes_on_leading(group: Group) -> None:
    ada, bob = group.process("ada"), group.process("bob")
    assert ada.lease.held()
    for now_s in (6.0, 12.0, 18.0, 24.0):
        ada.now_s = bob.now_s = now_s
        assert ada.lease.held()
        assert not bob.lease.held()
    renewed = group.spec()
    assert renewed.acquire_time is not None
    assert renewed.renew_time is not None
    assert (renewed.renew_time - renewed.acquire_time).total_seconds() == pytest.approx(24.0)
    assert renewed.lease_transitions == 0


def test_it_is_not_renewed_more_often_than_it_has_to_be(group: Group) -> None:
    ada = group.process("ada")
    assert ada.lease.held()
    before = group.spec().renew_time
    ada.now_s = 4.9
    assert ada.lease.held()
    assert group.spec().renew_time == before


def test_who_is_silent_for_as_long_as_it_lasts_is_followed(group: Group) -> None:
    ada, bob = group.process("ada"), group.process("bob")
    assert ada.lease.held()
    assert not bob.lease.held()
    bob.now_s = 14.9
    assert not bob.lease.held()
    bob.now_s = 15.0
    assert bob.lease.held()
    ada.now_s = 15.0
    assert not ada.lease.held()
    assert (group.spec().holder_identity, group.spec().lease_transitions) == ("bob", 1)


def test_who_leaves_hands_over_at_once(group: Group) -> None:
    ada, bob = group.process("ada"), group.process("bob")
    with ada.lease:
        assert ada.lease.held()
    assert group.spec().holder_identity is None
    assert bob.lease.held()


def test_who_does_not_lead_releases_nothing(group: Group) -> None:
    ada, bob = group.process("ada"), group.process("bob")
    assert ada.lease.held()
    assert not bob.lease.held()
    bob.lease.release()
    assert group.spec().holder_identity == "ada"


def test_one_who_begins_again_under_its_old_name_still_leads(group: Group) -> None:
    assert group.process("ada").lease.held()
    assert group.process("ada").lease.held()


def test_whole_seconds_are_written_too(group: Group) -> None:
    assert group.process("ada", now_s=1.0).lease.held()
