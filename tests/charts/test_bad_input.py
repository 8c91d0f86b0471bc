"""What the issue lists as bad input, line by line. The controller's part is tested with the controller."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import CoreV1Api, V1ObjectMeta, V1Secret

CHART = Path(__file__).parents[2] / "charts" / "marquee"

Refusal = Callable[..., str]


def test_a_misspelt_value(refusal: Refusal) -> None:
    assert "additional properties 'bundel' not allowed" in refusal("--set", "model.bundel=v2")


def test_a_wrong_type(refusal: Refusal) -> None:
    assert "ray/worker/maxReplicas" in refusal("--set", "ray.worker.maxReplicas=many")


def test_a_share_over_one_hundred_percent(refusal: Refusal) -> None:
    assert "rollout/steps/0/share" in refusal("--set-json", 'rollout.steps=[{"share": 1.01}]')


def test_steps_that_fall(refusal: Refusal) -> None:
    steps = '[{"share": 0.5}, {"share": 0.25}]'
    assert "shares rise from step to step" in refusal("--set-json", f"rollout.steps={steps}")


def test_a_bundle_that_no_registry_could_have(refusal: Refusal) -> None:
    assert "model/bundle" in refusal("--set", "model.bundle=newest")


def test_a_key_of_the_serve_config_that_ray_would_ignore(refusal: Refusal) -> None:
    assert "max_ongoing_requests" in refusal("--set", "serve.router.max_ongoing_requests=5")
    assert "max_replicas" in refusal("--set-json", 'serve.autoscaling={"max_replicas": 5}')


def test_a_release_with_a_name_of_eighty_characters(helm: Callable[..., Any]) -> None:
    done = helm("install", "a" * 80, str(CHART), "--dry-run=client")
    assert "must not be longer than 53" in done.stderr


@pytest.mark.parametrize("name", ["Shop", "shop_videos", "-shop", "1shop", "shop."])
def test_a_name_that_no_service_can_have(refusal: Refusal, name: str) -> None:
    assert "fullnameOverride" in refusal("--set-string", f"fullnameOverride={name}")


@pytest.mark.parametrize("release", ["2nd", "shop.videos"])
def test_a_release_whose_name_no_service_can_have(helm: Callable[..., Any], release: str) -> None:
    done = helm("template", release, str(CHART))
    assert "fullnameOverride: Services are named by a letter" in done.stderr
    assert helm("template", release, str(CHART), "--set", "fullnameOverride=second").returncode == 0


@pytest.mark.cluster
class TestAMissingSecret:
    def test_is_named_with_what_to_do(
        self, helm: Callable[..., Any], cluster: CoreV1Api, namespace: str
    ) -> None:
        wait_for_account(cluster, namespace)
        said = install(helm, namespace, "redis.existingSecret=passwords")
        assert f"there is no Secret passwords in namespace {namespace}" in said
        assert f"kubectl -n {namespace} create secret generic passwords" in said

    def test_that_lacks_its_key_is_named(
        self, helm: Callable[..., Any], cluster: CoreV1Api, namespace: str
    ) -> None:
        wait_for_account(cluster, namespace)
        metadata = V1ObjectMeta(name="passwords")
        cluster.create_namespaced_secret(namespace, V1Secret(metadata=metadata, string_data={"a": "b"}))
        said = install(helm, namespace, "redis.existingSecret=passwords")
        assert "Secret passwords has no key redis-password, only a" in said

    def test_is_not_asked_for_where_nobody_may(
        self, helm: Callable[..., Any], cluster: CoreV1Api, namespace: str
    ) -> None:
        wait_for_account(cluster, namespace)
        assert install(helm, namespace, "redis.existingSecret=passwords,checkSecrets=false") == ""


def install(helm: Callable[..., Any], namespace: str, given: str) -> str:
    """Let the API server look at an installation that is not made; return why it is refused."""
    done = helm("install", "mq", str(CHART), "-n", namespace, "--dry-run=server", "--set", given)
    return str(done.stderr)


def wait_for_account(cluster: CoreV1Api, namespace: str) -> None:
    """Wait until a new namespace has the account by which the chart knows that it may ask."""
    accounts = cluster.list_namespaced_service_account
    assert any(accounts(namespace, timeout_seconds=5).items for _ in range(100))
