"""What a router's gauges say of its traffic document."""

from collections.abc import Callable
from typing import Protocol

import pytest
from prometheus_client import REGISTRY

from deployments.service import Service
from recsys.rollout.plan import RolloutPlan, Step
from recsys.rollout.state import BLIND, Decision, Phase, RolloutState, What
from recsys.rollout.traffic import TrafficDocument

BUNDLE, CANARY_BUNDLE = "b" * 16, "c" * 16


class Traffic(Protocol):
    document: TrafficDocument | None


class Replica(Protocol):
    """What the fixture makes: a router replica on fakes."""

    service: Service
    traffic: Traffic


Replicas = Callable[..., Replica]
Ramp = Callable[..., None]


def shown(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"marquee_{name}", labels)


def held(why: str) -> Decision:
    return Decision(at_s=1_000.0, what=What.HOLD, why=why, by="test", phase=Phase.RAMPING, share=0.5)


def rollout(**changes: object) -> RolloutState:
    return RolloutState(
        id="r1",
        plan=RolloutPlan(steps=(Step(share=0.5, min_time=60.0), Step(share=1.0)), prepare_for=120.0),
        bundle=CANARY_BUNDLE,
        lane="green",
        stable_bundle=BUNDLE,
        stable_lane="blue",
        phase=Phase.RAMPING,
        since_s=1_000.0,
    ).model_copy(update=changes)


def test_bundles_and_shares_of_before_are_zero(replica_of: Replicas, ramp: Ramp) -> None:
    replica = replica_of()
    replica.service.show()
    assert shown("bundle_info", lane="blue", bundle=BUNDLE, state="in_force") == 1.0
    ramp(replica, 0.25)
    replica.service.show()
    assert shown("bundle_info", lane="green", bundle=CANARY_BUNDLE, state="in_force") == 1.0
    assert (shown("arm_share", arm="stable"), shown("arm_share", arm="canary")) == (0.75, 0.25)
    another = replica_of(database="another.db")
    another.service.show()
    assert shown("bundle_info", lane="green", bundle=CANARY_BUNDLE, state="in_force") == 0.0
    assert (shown("arm_share", arm="stable"), shown("arm_share", arm="canary")) == (1.0, 0.0)


def test_a_document_that_is_gone_is_unusable_and_the_version_stays(replica_of: Replicas) -> None:
    replica = replica_of()
    replica.traffic.document = None
    replica.service.traffic.read()
    replica.service.show()
    assert (shown("traffic_unusable"), shown("traffic_version")) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("state", "phase", "blind", "due_s"),
    [
        (None, None, 0.0, 0.0),
        (rollout(phase=Phase.PREPARING), "preparing", 0.0, 1_120.0),
        (rollout(), "ramping", 0.0, 1_060.0),
        (rollout(paused=True), "ramping", 0.0, 0.0),
        (rollout(decisions=(held(BLIND),)), "ramping", 1.0, 1_060.0),
        (rollout(decisions=(held(BLIND), held("measurements are back"))), "ramping", 0.0, 1_060.0),
        (rollout(phase=Phase.ABORTED, decisions=(held(BLIND),)), "aborted", 0.0, 0.0),
        (rollout(phase=Phase.HOLDING), "holding", 0.0, 0.0),
    ],
)
def test_the_rollout_is_shown_as_the_document_has_it(
    replica_of: Replicas,
    ramp: Ramp,
    state: RolloutState | None,
    phase: str | None,
    blind: float,
    due_s: float,
) -> None:
    replica = replica_of()
    ramp(replica, 0.5, rollout=state)
    replica.service.show()
    assert [one for one in Phase if shown("rollout_phase", phase=one)] == ([phase] if phase else [])
    assert (shown("rollout_blind"), shown("rollout_due_seconds")) == (blind, due_s)


def test_nobody_is_late_where_people_have_the_last_word() -> None:
    plan = RolloutPlan(steps=(Step(share=0.5, min_time=60.0),), promote=False)
    assert rollout(plan=plan).due_s is None


def test_the_gauges_say_when_they_were_brought_up_to_date(replica_of: Replicas) -> None:
    replica = replica_of()
    replica.service.show()
    assert shown("refreshed_seconds") == replica.service.clock()
