"""Who finds the figures, and what they find."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).parents[2] / "charts" / "marquee"
DASHBOARDS = sorted((CHART / "files" / "dashboards").glob("*.json"))

Objects = dict[tuple[str, str], dict[str, Any]]
Rendered = Callable[..., Objects]


def test_a_worker_pod_serves_its_figures_and_the_head_has_none(rendered: Rendered) -> None:
    [sidecar] = worker(rendered())["initContainers"]
    assert [*sidecar["command"], *sidecar["args"]] == [
        "marquee",
        "metrics",
        "--folder=/metrics",
        "--port=9464",
    ]
    ray = rendered()["RayService", "mq-marquee"]["spec"]["rayClusterConfig"]
    assert "initContainers" not in ray["headGroupSpec"]["template"]["spec"]


def test_figures_are_served_from_the_folder_that_ray_writes(rendered: Rendered) -> None:
    pod = worker(rendered())
    mount = {"name": "figures", "mountPath": "/metrics"}
    assert mount in pod["initContainers"][0]["volumeMounts"]
    assert mount in pod["containers"][0]["volumeMounts"]
    assert {"name": "figures", "emptyDir": {}} in pod["volumes"]


def test_a_sidecar_that_ends_begins_again_and_takes_no_pod_out_of_service(rendered: Rendered) -> None:
    [sidecar] = worker(rendered())["initContainers"]
    assert sidecar["restartPolicy"] == "Always"
    assert "readinessProbe" not in sidecar


def test_the_controller_asks_every_pod_unless_there_is_a_prometheus(rendered: Rendered) -> None:
    assert "--pods=mq-marquee-metrics.shop.svc:9464" in controller_arguments(rendered())
    asked = controller_arguments(rendered("--set", "controller.prometheus=http://p:9090"))
    assert "--prometheus=http://p:9090" in asked
    assert not [one for one in asked if one.startswith("--pods")]


def test_the_service_of_figures_names_ready_workers_at_the_port_of_the_sidecar(rendered: Rendered) -> None:
    objects = rendered("--set", "metrics.port=9999")
    service = objects["Service", "mq-marquee-metrics"]["spec"]
    assert service["clusterIP"] == "None"
    assert "publishNotReadyAddresses" not in service
    assert service["ports"] == [{"name": "figures", "port": 9999, "targetPort": "figures"}]
    pod = worker(objects)["initContainers"][0]
    assert pod["ports"] == [{"name": "figures", "containerPort": 9999}]
    labels = ray_cluster(objects)["workerGroupSpecs"][0]["template"]["metadata"]["labels"]
    assert service["selector"].items() <= labels.items()


def test_nothing_of_the_prometheus_operator_is_there_unless_asked_for(rendered: Rendered) -> None:
    assert {kind for kind, _ in rendered()}.isdisjoint({"PodMonitor", "ServiceMonitor", "PrometheusRule"})


@pytest.mark.parametrize(
    ("switch", "key", "ports"),
    [
        ("podMonitor", ("PodMonitor", "mq-marquee"), {"figures"}),
        ("serviceMonitor", ("ServiceMonitor", "mq-marquee"), {"figures"}),
        ("rayMonitor", ("PodMonitor", "mq-marquee-ray"), {"metrics", "as-metrics", "dash-metrics"}),
    ],
)
def test_a_monitor_names_ports_that_are_there(
    rendered: Rendered, switch: str, key: tuple[str, str], ports: set[str]
) -> None:
    objects = rendered(
        "--set",
        f"metrics.{switch}.enabled=true,metrics.{switch}.labels.release=p,metrics.{switch}.interval=7s",
    )
    monitor = objects[key]
    assert monitor["metadata"]["labels"]["release"] == "p"
    endpoints = monitor["spec"].get("podMetricsEndpoints") or monitor["spec"]["endpoints"]
    assert {one["port"] for one in endpoints} == ports
    assert {one["interval"] for one in endpoints} == {"7s"}
    assert ports <= declared_ports(objects)


def test_two_monitors_of_the_same_figures_are_refused(refusal: Callable[..., str]) -> None:
    both = "metrics.podMonitor.enabled=true,metrics.serviceMonitor.enabled=true"
    assert "everything counts twice" in refusal("--set", both)


def test_alerts_are_those_of_the_file_with_your_runbooks(rendered: Rendered) -> None:
    objects = rendered("--set", "metrics.rules.enabled=true,metrics.rules.runbooks=https://r.example/book")
    groups = objects["PrometheusRule", "mq-marquee"]["spec"]["groups"]
    known = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["groups"]
    for group, known_group in zip(groups, known, strict=True):
        for rule, known_rule in zip(group["rules"], known_group["rules"], strict=True):
            link = rule["annotations"].pop("runbook_url")
            heading = known_rule["annotations"].pop("runbook_url").partition("#")[2]
            assert link == f"https://r.example/book#{heading}"
    assert groups == known


def test_every_dashboard_is_a_config_map_as_it_stands(rendered: Rendered) -> None:
    objects = rendered("--set", "metrics.dashboards.enabled=true")
    for path in DASHBOARDS:
        found = objects["ConfigMap", f"mq-marquee-{path.stem}"]
        assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert json.loads(found["data"][path.name]) == json.loads(path.read_text())


def worker(objects: Objects) -> dict[str, Any]:
    """Return what a worker pod is made of."""
    pod: dict[str, Any] = ray_cluster(objects)["workerGroupSpecs"][0]["template"]["spec"]
    return pod


def ray_cluster(objects: Objects) -> dict[str, Any]:
    cluster: dict[str, Any] = objects["RayService", "mq-marquee"]["spec"]["rayClusterConfig"]
    return cluster


def declared_ports(objects: Objects) -> set[str]:
    ray = ray_cluster(objects)
    pods = [ray["headGroupSpec"]["template"]["spec"], worker(objects)]
    containers = [one for pod in pods for one in (*pod["containers"], *pod.get("initContainers", []))]
    return {port["name"] for container in containers for port in container["ports"]}


def controller_arguments(objects: Objects) -> list[str]:
    [container] = objects["Deployment", "mq-marquee-controller"]["spec"]["template"]["spec"]["containers"]
    arguments: list[str] = container["args"]
    return arguments
