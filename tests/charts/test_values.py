"""What is refused before anything is installed."""

from collections.abc import Callable

import pytest


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("model.bundel=v2", "bundel"),
        ("rollouts.steps=[]", "rollouts"),
        ("ray.worker.maxreplicas=3", "maxreplicas"),
        ("serve.router.replica=3", "replica"),
        ("serve.max_ongoing_requests=3", "max_ongoing_requests"),
        ("serve.overload.max_recommend=3", "max_recommend"),
        ("ray.head.resources.request.cpu=1", "request"),
        ("ray.worker.numCpus=1.5", "ray/worker/numCpus"),  # Ray's autoscaler would end over it
        ("redis.maxMemory=lots", "maxMemory"),
        ("controller.replicas=two", "controller/replicas"),
        ("persistence.kind=floppy", "persistence/kind"),
        ("image.digest=sha256:abc", "image/digest"),
    ],
)
def test_a_value_that_means_nothing_is_refused_by_name(
    refusal: Callable[..., str], given: str, named: str
) -> None:
    assert named in refusal("--set", given)


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ('[{"share": 101}]', "rollout/steps/0/share"),
        ('[{"share": -0.1}]', "rollout/steps/0/share"),
        ('[{"share": 0.1, "min_time": "10 fortnights"}]', "min_time"),
        ("[]", "rollout/steps"),
        ('[{"share": 0.5}, {"share": 0.1}]', "shares rise from step to step, not 0.5, 0.1"),
        ('[{"share": 0}]', "a step with share 0 has a shadow"),
    ],
)
def test_steps_that_lead_nowhere_are_refused(refusal: Callable[..., str], steps: str, why: str) -> None:
    assert why in refusal("--set-json", f"rollout.steps={steps}")


def test_a_guardrail_on_nothing_is_refused(refusal: Callable[..., str]) -> None:
    rails = '[{"metric": "eror_share", "compare": "difference", "limit": 0.1}]'
    assert "rollout/guardrails/0/metric" in refusal("--set-json", f"rollout.guardrails={rails}")


@pytest.mark.parametrize(
    ("given", "what_to_do"),
    [
        ("redis.enabled=false", "redis.address: host:port of your Redis"),
        ("persistence.kind=hostPath", "persistence.hostPath: a folder of the node"),
        ("persistence.kind=existingClaim", "persistence.existingClaim: a claim's name"),
    ],
)
def test_what_a_choice_needs_besides_is_asked_for(
    refusal: Callable[..., str], given: str, what_to_do: str
) -> None:
    assert what_to_do in refusal("--set", given)
