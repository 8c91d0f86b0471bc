"""Others' buckets and databases, and secrets that stand in no setting."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

Objects = dict[tuple[str, str], dict[str, Any]]
Rendered = Callable[..., Objects]
OTHERS_REDIS = "redis.enabled=false,redis.address=r.example:6379"


def test_a_bucket_is_the_registry_of_all_that_runs_our_image(rendered: Rendered) -> None:
    objects = rendered("--set", "registry.address=s3://b/p,registry.existingSecret=bucket,demo.enabled=true")
    assert graph(objects)["registry"] == "s3://b/p"
    for container in ours(objects):
        given = {one["name"]: one.get("value") for one in container["env"]}
        assert (given["MARQUEE_REGISTRY"], given["MARQUEE_CACHE"]) == ("s3://b/p", "/cache")
        assert {"secretRef": {"name": "bucket"}} in container["envFrom"]
        assert {"name": "cache", "mountPath": "/cache"} in container["volumeMounts"]


def test_without_a_bucket_the_registry_is_a_folder_and_nothing_is_copied(rendered: Rendered) -> None:
    objects = rendered()
    assert graph(objects)["registry"] == "/data/registry"
    for container in ours(objects):
        assert "MARQUEE_CACHE" not in {one["name"] for one in container["env"]}
        assert "envFrom" not in container


def test_the_password_of_redis_stands_in_its_secret_alone(rendered: Rendered) -> None:
    objects = rendered("--set", f"{OTHERS_REDIS},redis.existingSecret=s,redis.passwordKey=k,redis.username=u")
    assert graph(objects)["state_url"] == "redis://u@r.example:6379/1"
    where = {"secretKeyRef": {"name": "s", "key": "k"}}
    for container in ours(objects):
        assert {"name": "MARQUEE_STATE_PASSWORD", "valueFrom": where} in container["env"]
    options = objects["RayService", "mq-marquee"]["spec"]["rayClusterConfig"]["gcsFaultToleranceOptions"]
    assert options["redisPassword"] == {"valueFrom": where}
    assert options["redisUsername"] == {"value": "u"}


def test_redis_by_tls(rendered: Rendered) -> None:
    objects = rendered("--set", f"{OTHERS_REDIS},redis.tls=true")
    assert graph(objects)["state_url"] == "rediss://r.example:6379/1"
    options = objects["RayService", "mq-marquee"]["spec"]["rayClusterConfig"]["gcsFaultToleranceOptions"]
    assert options == {"redisAddress": "rediss://r.example:6379"}


def test_our_own_redis_may_ask_for_a_password(rendered: Rendered) -> None:
    objects = rendered("--set", "redis.existingSecret=s")
    [container] = objects["StatefulSet", "mq-marquee-redis"]["spec"]["template"]["spec"]["containers"]
    assert container["args"][-2:] == ["--requirepass", "$(REDISCLI_AUTH)"]
    assert container["env"] == [
        {"name": "REDISCLI_AUTH", "valueFrom": {"secretKeyRef": {"name": "s", "key": "redis-password"}}}
    ]


def test_our_own_redis_keeps_its_log_on_a_disk_of_its_own_if_asked(rendered: Rendered) -> None:
    objects = rendered("--set", "redis.persistence.enabled=true,redis.persistence.size=3Gi")
    claim = objects["PersistentVolumeClaim", "mq-marquee-redis"]["spec"]
    assert claim["resources"] == {"requests": {"storage": "3Gi"}}
    [volume] = objects["StatefulSet", "mq-marquee-redis"]["spec"]["template"]["spec"]["volumes"]
    assert volume == {"name": "state", "persistentVolumeClaim": {"claimName": "mq-marquee-redis"}}


def test_the_key_of_the_pseudonyms_may_be_a_secret(rendered: Rendered) -> None:
    objects = rendered("--set", "exposuresKey.existingSecret=s,exposuresKey.key=k,demo.enabled=true")
    for container in ours(objects):
        given = {one["name"]: one.get("value") for one in container["env"]}
        assert given["MARQUEE_EXPOSURES_KEY"] == "/secrets/exposures/key"
        assert {"name": "exposures-key", "mountPath": "/secrets/exposures", "readOnly": True} in container[
            "volumeMounts"
        ]
    volume = {"name": "exposures-key", "secret": {"secretName": "s", "items": [{"key": "k", "path": "key"}]}}
    for pod in pods(objects):
        if pod["containers"][0]["name"] != "redis":
            assert volume in pod["volumes"]


def test_the_keys_of_the_door_may_be_a_secret_and_the_graph_is_told_to_use_them(rendered: Rendered) -> None:
    switched_on = "privacyKey.existingSecret=s,privacyKey.key=k,serve.privacy.pseudonymise=true"
    objects = rendered("--set", switched_on)
    for container in ours(objects):
        given = {one["name"]: one.get("value") for one in container["env"]}
        assert given["MARQUEE_PRIVACY_KEY"] == "/secrets/privacy/key"
        mount = {"name": "privacy-key", "mountPath": "/secrets/privacy", "readOnly": True}
        assert mount in container["volumeMounts"]
    volume = {"name": "privacy-key", "secret": {"secretName": "s", "items": [{"key": "k", "path": "key"}]}}
    assert any(volume in pod["volumes"] for pod in pods(objects))
    assert graph(objects)["privacy"] == {"pseudonymise": True}
    assert graph(rendered())["privacy"] == {"pseudonymise": False}


def test_further_variables_reach_all_that_runs_our_image(rendered: Rendered) -> None:
    variables = [
        {"name": "A", "value": "1"},
        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ]
    sources = [{"prefix": "X_", "configMapRef": {"name": "m", "optional": True}}]
    extra = f"extraEnv={json.dumps(variables)}", f"extraEnvFrom={json.dumps(sources)}"
    for container in ours(rendered("--set-json", extra[0], "--set-json", extra[1])):
        assert all(one in container["env"] for one in variables)
        assert container["envFrom"] == sources


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("registry.address=/some/folder", "registry/address"),
        ("registry.adress=s3://b", "adress"),
        ("redis.password=secret", "password"),
        ("redis.username=a:b", "redis/username"),
        ("extraEnv[0].valu=1", "valu"),
    ],
)
def test_what_would_be_ignored_or_shown_is_refused(
    refusal: Callable[..., str], given: str, named: str
) -> None:
    assert named in refusal("--set", given)


def graph(objects: Objects) -> dict[str, Any]:
    config = yaml.safe_load(objects["RayService", "mq-marquee"]["spec"]["serveConfigV2"])
    arguments: dict[str, Any] = config["applications"][0]["args"]
    return arguments


def pods(objects: Objects) -> Iterator[dict[str, Any]]:
    for (kind, _), one in objects.items():
        if kind in ("Deployment", "StatefulSet", "Job"):
            yield one["spec"]["template"]["spec"]
        elif kind == "RayService":
            ray = one["spec"]["rayClusterConfig"]
            for group in (ray["headGroupSpec"], *ray["workerGroupSpecs"]):
                yield group["template"]["spec"]


def ours(objects: Objects) -> list[dict[str, Any]]:
    """Return the containers that work with the registry and the state."""
    return [pod["containers"][0] for pod in pods(objects) if pod["containers"][0]["name"] != "redis"]
