"""Every object of every scenario, against what the oldest and the newest Kubernetes take."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

CHART = Path(__file__).parents[2] / "charts" / "marquee"
SCENARIOS = sorted(path.name for path in (CHART / "ci").glob("*-values.yaml"))
OTHERS_GROUPS = ("ray.io/", "monitoring.coreos.com/", "gateway.networking.k8s.io/")
NEWEST = "1.37.0"

Objects = dict[tuple[str, str], dict[str, Any]]


def oldest() -> str:
    """Return the oldest Kubernetes that the chart says it supports."""
    wanted = yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"]
    return str(wanted).removeprefix(">=").removesuffix("-0")


@pytest.mark.parametrize("version", [oldest(), NEWEST])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_object_is_as_this_kubernetes_wants_it(
    rendered: Callable[..., Objects], scenario: str, version: str
) -> None:
    objects = rendered("--values", str(CHART / "ci" / scenario), "--kube-version", version)
    checked = [one for one in objects.values() if not one["apiVersion"].startswith(OTHERS_GROUPS)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no schema, no check
        for one in checked:
            kubernetes_validate.validate(one, version, strict=True)
    assert len(checked) > len(objects) / 2


@pytest.mark.parametrize("version", [oldest(), NEWEST])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_ray_pod_is_as_this_kubernetes_wants_it(
    rendered: Callable[..., Objects], scenario: str, version: str
) -> None:
    objects = rendered("--values", str(CHART / "ci" / scenario))
    [ray] = [one["spec"]["rayClusterConfig"] for (kind, _), one in objects.items() if kind == "RayService"]
    for group in (ray["headGroupSpec"], *ray["workerGroupSpecs"]):
        pod = {"apiVersion": "v1", "kind": "Pod", **group["template"]}
        pod["metadata"] = {"name": "pod", **pod["metadata"]}
        kubernetes_validate.validate(pod, version, strict=True)


def test_an_older_kubernetes_is_refused(refusal: Callable[..., str]) -> None:
    major, minor, _ = oldest().split(".")
    assert "incompatible with Kubernetes" in refusal("--kube-version", f"{major}.{int(minor) - 1}.0")
