"""The adapter on contexts such as Ray Serve's controller makes."""

from pathlib import Path
from typing import Any

import pytest
from ray.serve._private.common import DeploymentID, ReplicaID, TimeStampedValue
from ray.serve.config import AutoscalingContext
from ray.serve.schema import ServeDeploySchema

from deployments.autoscaling.serve_policy import ServePolicy
from deployments.autoscaling.settings import AutoscalingSettings, Bounds
from deployments.graph import application
from deployments.settings import GraphArgs

NOW_S = 1_000.0
SETTINGS = AutoscalingSettings(
    recall=Bounds(least=1, most=8), ranking=Bounds(least=1, most=8), utilisation=0.5, slack=0.0
)


def context(name: str, replicas: int, figures: dict[str, tuple[float, float]]) -> AutoscalingContext:
    """Make a context with one reporting replica, whose figures grew from the first value to the second."""
    deployment = DeploymentID(name, "marquee")
    replica = ReplicaID("r", deployment)
    raw = {
        key: {replica: [TimeStampedValue(NOW_S - 4.0, first), TimeStampedValue(NOW_S, last)]}
        for key, (first, last) in figures.items()
    }
    unknown: dict[str, Any] = dict.fromkeys(
        ("last_scale_up_time", "last_scale_down_time", "config", "aggregated_metrics"), None
    )
    return AutoscalingContext(
        deployment_id=deployment,
        deployment_name=name,
        app_name="marquee",
        current_num_replicas=replicas,
        target_num_replicas=replicas,
        running_replicas=[replica],
        total_num_requests=0.0,
        total_queued_requests=0.0,
        raw_metrics=raw,
        capacity_adjusted_min_replicas=0,
        capacity_adjusted_max_replicas=8,
        policy_state={},
        current_time=NOW_S,
        **unknown,
    )


def contexts() -> dict[DeploymentID, AutoscalingContext]:
    router = {
        "asked": (0.0, 400.0),
        "busy_s": (0.0, 2.0),
        "bundle:blue": (1.0, 1.0),
        "arm:blue": (1.0, 1.0),
        "share:blue": (1.0, 1.0),
        "bundle:green": (0.0, 0.0),
    }
    made = [
        context("router", 2, router),
        context("recall-blue", 1, {"busy_s": (0.0, 4.0), "served": (0.0, 400.0)}),
        context("ranking-blue", 1, {"busy_s": (0.0, 2.0), "served": (0.0, 200.0)}),
        context("recall-green", 0, {}),
        context("ranking-green", 0, {}),
    ]
    return {one.deployment_id: one for one in made}


@pytest.fixture
def policy() -> ServePolicy:
    return ServePolicy(SETTINGS.model_dump(mode="json"), ["blue", "green"])


def test_targets_come_from_the_rate_at_the_routers(policy: ServePolicy) -> None:
    targets, state = policy(contexts())
    # 100/s, 10 ms each, half busy: two of each; the queues of the stages play no part.
    by_name = {deployment.name: target for deployment, target in targets.items()}
    assert by_name == {
        "router": 2,
        "recall-blue": 2,
        "ranking-blue": 2,
        "recall-green": 0,
        "ranking-green": 0,
    }
    assert state == {}


def test_until_the_whole_graph_is_known_it_decides_nothing(policy: ServePolicy) -> None:
    some = contexts()
    some.pop(DeploymentID("ranking-green", "marquee"))
    assert policy(some) == ({}, {})


def test_between_decisions_the_last_one_stands(policy: ServePolicy) -> None:
    first = policy(contexts())
    quiet = {
        deployment: context(deployment.name, one.current_num_replicas, {})
        for deployment, one in contexts().items()
    }
    assert policy(quiet) == first


def test_the_application_is_one_that_ray_serve_accepts(tmp_path: Path) -> None:
    args = GraphArgs(
        registry=tmp_path,
        traffic=tmp_path / "t",
        state_url="sqlite:////s",
        event_log=tmp_path,
        autoscaling=SETTINGS,
    )
    schema = ServeDeploySchema(applications=[application(args, SETTINGS, "marquee")])
    described = schema.applications[0]
    assert described.import_path == "deployments.graph:build"
    assert GraphArgs.model_validate(described.args) == args
    assert described.autoscaling_policy is not None
    ServePolicy(**described.autoscaling_policy["policy_kwargs"])
