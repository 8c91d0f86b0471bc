"""What the chart does so that no request is lost with a pod; tests/e2e shows that it is enough."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from deployments.proxy_patience import IDLE_S

Objects = dict[tuple[str, str], dict[str, Any]]
Rendered = Callable[..., Objects]

HOST_FOLDER = ("--set", "persistence.kind=hostPath,persistence.hostPath=/srv/marquee")


def test_helm_leaves_kuberay_nothing_to_add_to_the_worker_groups(rendered: Rendered) -> None:
    """It would own the list by it, and the next upgrade would end over a conflict."""
    ray = rendered()["RayService", "mq-marquee"]["spec"]["rayClusterConfig"]
    assert [group["scaleStrategy"] for group in ray["workerGroupSpecs"]] == [{}]


def test_the_head_is_found_again_at_the_same_address(rendered: Rendered) -> None:
    """By name alone another pod is found half a minute late. One that is not ready yet counts, too."""
    head = rendered()["RayService", "mq-marquee"]["spec"]["rayClusterConfig"]["headGroupSpec"]
    assert head["headService"] == {"spec": {"type": "ClusterIP", "publishNotReadyAddresses": True}}


def test_redis_keeps_its_log_where_the_other_files_are(rendered: Rendered) -> None:
    pod = rendered(*HOST_FOLDER)["StatefulSet", "mq-marquee-redis"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["volumeMounts"] == [
        {"name": "data", "mountPath": "/state", "subPath": "redis"}
    ]
    assert pod["volumes"] == [{"name": "data", "hostPath": {"path": "/srv/marquee", "type": "Directory"}}]


def test_redis_may_have_a_disk_of_its_own(rendered: Rendered) -> None:
    objects = rendered(*HOST_FOLDER, "--set", "redis.persistence.enabled=true")
    pod = objects["StatefulSet", "mq-marquee-redis"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["volumeMounts"] == [{"name": "state", "mountPath": "/state"}]
    assert pod["volumes"] == [{"name": "state", "persistentVolumeClaim": {"claimName": "mq-marquee-redis"}}]


@pytest.mark.parametrize(
    ("pods", "routers", "most"), [(1, 2, None), (2, 2, 1), (2, 3, 2), (3, 2, 1)], ids=str
)
def test_routers_are_never_all_in_one_pod_where_there_are_more(
    rendered: Rendered, pods: int, routers: int, most: int | None
) -> None:
    values = f"ray.worker.minReplicas={pods},ray.worker.maxReplicas=4,serve.router.replicas={routers}"
    assert graph(rendered("--set", values))["router"].get("max_per_node") == most


def test_a_number_of_ones_own_stays(rendered: Rendered) -> None:
    objects = rendered("--set", "ray.worker.minReplicas=2,serve.router.max_per_node=5")
    assert graph(objects)["router"]["max_per_node"] == 5


def test_one_slow_look_takes_no_pod_out_of_the_service(rendered: Rendered) -> None:
    """KubeRay's own probe does, after 2 s: pods that start beside them can make all that slow at once."""
    ray = rendered()["RayService", "mq-marquee"]["spec"]["rayClusterConfig"]
    container = ray["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]
    probe = container["readinessProbe"]
    assert probe["httpGet"] == {"path": "/-/healthz", "port": "serve"}
    assert {"name": "serve", "containerPort": 8000} in container["ports"]
    assert probe["failureThreshold"] > 1
    assert probe["timeoutSeconds"] > 2


def test_a_worker_pod_drains_before_it_goes(rendered: Rendered) -> None:
    ray = rendered()["RayService", "mq-marquee"]["spec"]["rayClusterConfig"]
    worker, head = ray["workerGroupSpecs"][0]["template"]["spec"], ray["headGroupSpec"]["template"]["spec"]
    assert "ray drain-node" in worker["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1]
    assert worker["terminationGracePeriodSeconds"] == 75
    assert "lifecycle" not in head["containers"][0]


def test_connections_rest_as_long_as_everywhere(rendered: Rendered) -> None:
    assert config(rendered())["http_options"]["keep_alive_timeout_s"] == IDLE_S


def config(objects: Objects) -> dict[str, Any]:
    """Return Ray Serve's configuration."""
    text = objects["RayService", "mq-marquee"]["spec"]["serveConfigV2"]
    read: dict[str, Any] = yaml.safe_load(text)
    return read


def graph(objects: Objects) -> dict[str, Any]:
    """Return what the graph is built from."""
    args: dict[str, Any] = config(objects)["applications"][0]["args"]
    return args
