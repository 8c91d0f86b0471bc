"""What the chart makes of values."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from ray.serve.schema import ServeDeploySchema

from deployments.proxy_patience import with_patience
from deployments.serve_environment import SERVE_ENVIRONMENT
from deployments.settings import GraphArgs
from recsys.rollout.plan import DEFAULT_PLAN, RolloutPlan
from recsys.rollout.wanted import Wanted

CHART = Path(__file__).parents[2] / "charts" / "marquee"
BALANCE = "RAY_SERVE_HAPROXY_BALANCE_ALGORITHM"
SCENARIOS = sorted(path.name for path in (CHART / "ci").glob("*-values.yaml"))

Objects = dict[tuple[str, str], dict[str, Any]]
Rendered = Callable[..., Objects]


@pytest.mark.parametrize("scenario", SCENARIOS)
class TestEveryScenario:
    def test_passes_the_strict_linter(self, helm: Callable[..., Any], scenario: str) -> None:
        done = helm("lint", "--strict", str(CHART), "--values", str(CHART / "ci" / scenario))
        assert done.returncode == 0, done.stdout

    def test_gives_the_graph_what_it_reads(self, rendered: Rendered, scenario: str) -> None:
        config = serve_config(rendered("--values", str(CHART / "ci" / scenario)))
        GraphArgs.model_validate(config["applications"][0]["args"])

    def test_gives_ray_serve_no_key_that_it_would_ignore(self, rendered: Rendered, scenario: str) -> None:
        config = serve_config(rendered("--values", str(CHART / "ci" / scenario)))
        assert list(unknown_keys(config, ServeDeploySchema.model_validate(config))) == []

    def test_asks_for_a_rollout_that_the_controller_can_read(self, rendered: Rendered, scenario: str) -> None:
        Wanted.model_validate(wanted(rendered("--values", str(CHART / "ci" / scenario))))

    def test_runs_nothing_as_root(self, rendered: Rendered, scenario: str) -> None:
        for pod in pods(rendered("--values", str(CHART / "ci" / scenario))):
            assert pod["securityContext"]["runAsNonRoot"] is True
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            for container in (*pod["containers"], *pod.get("initContainers", [])):
                assert container["securityContext"]["allowPrivilegeEscalation"] is False
                assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_without_values_the_plan_is_the_programs_own(rendered: Rendered) -> None:
    assert RolloutPlan.model_validate(wanted(rendered())["plan"]) == DEFAULT_PLAN


def test_ray_reads_the_same_variables_in_every_pod(rendered: Rendered) -> None:
    ray = rendered()["RayService", "mq-marquee"]["spec"]["rayClusterConfig"]
    groups = [ray["headGroupSpec"], *ray["workerGroupSpecs"]]
    for group in groups:
        variables = group["template"]["spec"]["containers"][0]["env"]
        given = {one["name"]: one["value"] for one in variables}
        balance = given.pop(BALANCE)
        assert SERVE_ENVIRONMENT.items() - {(BALANCE, SERVE_ENVIRONMENT[BALANCE])} <= given.items()
        assert balance == with_patience("leastconn")


def test_every_router_gets_requests_unless_the_first_is_to_gather_them(rendered: Rendered) -> None:
    for algorithm in ("random", "first"):
        ray = rendered("--set", f"proxy.balance={algorithm}")["RayService", "mq-marquee"]["spec"]
        variables = ray["rayClusterConfig"]["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]["env"]
        assert {"name": BALANCE, "value": with_patience(algorithm)} in variables


def test_what_is_spread_out_is_this_releases_own_pods(rendered: Rendered) -> None:
    ray = rendered()["RayService", "mq-marquee"]["spec"]["rayClusterConfig"]
    template = ray["workerGroupSpecs"][0]["template"]
    [constraint] = template["spec"]["topologySpreadConstraints"]
    assert constraint["topologyKey"] == "kubernetes.io/hostname"
    assert constraint["labelSelector"]["matchLabels"] == template["metadata"]["labels"]


def test_the_head_has_no_room_for_replicas(rendered: Rendered) -> None:
    ray = rendered()["RayService", "mq-marquee"]["spec"]
    assert ray["rayClusterConfig"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert ray["excludeHeadPodFromServeSvc"] is True


def test_names_are_cut_where_kuberay_cuts_them(rendered: Rendered) -> None:
    objects = rendered("--set", f"fullnameOverride={'a' * 80}")
    assert ("RayService", "a" * 47) in objects
    assert all(len(name) <= 63 for _, name in objects)


def test_a_new_version_of_the_chart_alone_changes_no_ray_pod(rendered: Rendered) -> None:
    """Any change in these templates makes KubeRay start a second cluster."""
    ray = rendered()["RayService", "mq-marquee"]["spec"]["rayClusterConfig"]
    labels = ray["headGroupSpec"]["template"]["metadata"]["labels"]
    assert set(labels) == {f"app.kubernetes.io/{name}" for name in ("name", "instance", "component")}


def test_another_bundle_changes_what_is_wanted_and_nothing_else(rendered: Rendered) -> None:
    before, after = rendered(), rendered("--set", "model.bundle=7de389ecc1bf6bce")
    changed = [key for key in before if before[key] != after[key] and key[0] != "Pod"]  # a hook
    assert changed == [("ConfigMap", "mq-marquee-wanted")]
    assert wanted(after)["bundle"] == "7de389ecc1bf6bce"


@pytest.mark.parametrize("bundle", ["0123", "1e10", "007"])
def test_the_beginning_of_a_bundles_name_stays_text(rendered: Rendered, bundle: str) -> None:
    assert wanted(rendered("--set-string", f"model.bundle={bundle}"))["bundle"] == bundle


def test_a_zero_is_a_zero(rendered: Rendered) -> None:
    objects = rendered("--set", "ray.worker.minReplicas=0,ray.upgrade.deletionDelaySeconds=0")
    ray = objects["RayService", "mq-marquee"]["spec"]
    assert ray["rayClusterConfig"]["workerGroupSpecs"][0]["minReplicas"] == 0
    assert ray["rayClusterDeletionDelaySeconds"] == 0


def test_autoscaling_brings_the_policy_with_it(rendered: Rendered) -> None:
    application = serve_config(rendered("--set-json", "serve.autoscaling={}"))["applications"][0]
    assert application["autoscaling_policy"]["policy_kwargs"]["lanes"] == list(
        GraphArgs.model_fields["lanes"].default
    )
    assert application["args"]["autoscaling"] == {}
    assert "autoscaling_policy" not in serve_config(rendered())["applications"][0]


def test_without_redis_of_its_own_nothing_of_it_is_made(rendered: Rendered) -> None:
    objects = rendered("--set", "redis.enabled=false,redis.address=r.example:6379")
    assert not [name for _, name in objects if name.endswith("-redis")]
    ray = objects["RayService", "mq-marquee"]["spec"]["rayClusterConfig"]
    assert ray["gcsFaultToleranceOptions"] == {"redisAddress": "r.example:6379"}
    assert serve_config(objects)["applications"][0]["args"]["state_url"] == "redis://r.example:6379/1"


def serve_config(objects: Objects) -> dict[str, Any]:
    service = next(one for (kind, _), one in objects.items() if kind == "RayService")
    config = yaml.safe_load(service["spec"]["serveConfigV2"])
    assert isinstance(config, dict)
    return config


def wanted(objects: Objects) -> dict[str, Any]:
    found = next(one for (_, name), one in objects.items() if name.endswith("-wanted"))
    read = json.loads(found["data"]["wanted.json"])
    assert isinstance(read, dict)
    return read


def pods(objects: Objects) -> Iterator[dict[str, Any]]:
    for (kind, _), one in objects.items():
        if kind in ("Deployment", "StatefulSet", "Job"):
            yield one["spec"]["template"]["spec"]
        elif kind == "CronJob":
            yield one["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        elif kind == "Pod":
            yield one["spec"]
        elif kind == "RayService":
            ray = one["spec"]["rayClusterConfig"]
            for group in (ray["headGroupSpec"], *ray["workerGroupSpecs"]):
                yield group["template"]["spec"]


def unknown_keys(given: object, read: object, where: str = "") -> Iterator[str]:
    """Yield the keys that a model has let fall; Ray Serve says nothing about them."""
    if isinstance(given, dict) and isinstance(read, BaseModel):
        known = type(read).model_fields
        for key, value in given.items():
            if key not in known:
                yield f"{where}/{key}"
            else:
                yield from unknown_keys(value, getattr(read, key), f"{where}/{key}")
    elif isinstance(given, list) and isinstance(read, list):
        for part, part_read in zip(given, read, strict=True):
            yield from unknown_keys(part, part_read, where)
