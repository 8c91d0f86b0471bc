"""One release of the chart on the cluster: what Helm and kubectl do with it, and how it stands."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from kubernetes.client import ApiException, CoreV1Api, CustomObjectsApi, V1ObjectMeta, V1Pod

from deployments.kubernetes.connection import api_client
from deployments.traffic_stores import open_traffic_store
from recsys.rollout.traffic import TrafficDocument

CHART = Path(__file__).parents[2] / "charts" / "marquee"
SMALL = CHART / "ci" / "small-values.yaml"
NAME = "mq-marquee"
_MOST_S = 600.0
_POLL_S = 1.0
_QUIET_S = 10.0

T = TypeVar("T")


def run(*command: str) -> str:
    """Run a program; return what it prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def wait_for(look: Callable[[], T | None], what: str, *, at_most_s: float = _MOST_S) -> T:
    """Return the first thing that is there."""
    give_up_s = time.monotonic() + at_most_s
    while time.monotonic() < give_up_s:
        if (found := look()) is not None:
            return found
        time.sleep(_POLL_S)
    pytest.fail(f"waited {at_most_s:.0f} s for {what}")


@dataclass(frozen=True, slots=True)
class Release:
    """The release ``mq`` in a namespace of its own."""

    core: CoreV1Api
    namespace: str
    values: tuple[str, ...]  # of every install and upgrade, as Helm's arguments

    def install(self) -> None:
        """Install the chart; the graph starts behind it."""
        self.helm("install", "mq", str(CHART), *self.values)

    def upgrade(self, *changes: str) -> None:
        """Let Helm bring the same values and these, and forget no revision: the first is looked at again."""
        self.helm("upgrade", "mq", str(CHART), "--history-max", "0", *self.values, *changes)

    def is_changed(self) -> bool:
        """Return whether Helm's last values are not those of the install."""
        first, last = (
            self.helm("get", "values", "mq", "--output", "json", *revision)
            for revision in (("--revision", "1"), ())
        )
        return first != last

    def helm(self, command: str, *arguments: str) -> str:
        """Run Helm in the namespace."""
        return run("helm", command, *arguments, "--namespace", self.namespace)

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl in the namespace."""
        return run("kubectl", "--namespace", self.namespace, *arguments)

    def pods(self, component: str) -> list[V1Pod]:
        """Return the pods of head, worker, redis or controller that are not about to go."""
        selector = f"app.kubernetes.io/component={component}"
        found = self.core.list_namespaced_pod(self.namespace, label_selector=selector).items
        return [pod for pod in found if _metadata(pod).deletion_timestamp is None]

    def ready(self, component: str) -> list[str]:
        """Return the uids of those that are ready; a name may come again."""
        return sorted(_metadata(pod).uid or "" for pod in self.pods(component) if _is_ready(pod))

    def delete_pod(self, component: str) -> str:
        """Delete one pod, as a drained node would; return its uid."""
        pod = _metadata(self.pods(component)[0])
        assert pod.name is not None
        assert pod.uid is not None
        self.core.delete_namespaced_pod(pod.name, self.namespace)
        return pod.uid

    def has_pod(self, uid: str) -> bool:
        """Return whether this pod is there, if only to end."""
        return any(_metadata(pod).uid == uid for pod in self.core.list_namespaced_pod(self.namespace).items)

    def ray_service(self) -> dict[str, Any]:
        """Return the RayService as the API server has it."""
        api = CustomObjectsApi(api_client())
        found: dict[str, Any] = api.get_namespaced_custom_object(
            "ray.io", "v1", self.namespace, "rayservices", NAME
        )
        return found

    def active_cluster(self) -> str:
        """Return the name of the Ray cluster that serves."""
        name: str = self.ray_service()["status"]["activeServiceStatus"]["rayClusterName"]
        return name

    def is_deploying(self) -> bool:
        """Return whether Ray Serve changes replicas."""
        active = self.ray_service()["status"]["activeServiceStatus"]
        status: str = active["applicationStatuses"]["marquee"]["status"]
        return status == "DEPLOYING"

    def wait_until_settled(self) -> None:
        """Wait until nothing has changed for a while: Ray Serve hears of new values seconds after KubeRay."""
        busy_s = time.monotonic()

        def look() -> bool | None:
            nonlocal busy_s
            if self.is_deploying():
                busy_s = time.monotonic()
            return time.monotonic() - busy_s > _QUIET_S or None

        wait_for(look, "the end of the change")

    def url(self) -> str | None:
        """Return where the service answers; None while it does not exist."""
        try:
            service = self.core.read_namespaced_service(f"{NAME}-serve-svc", self.namespace)
        except ApiException:
            return None
        return None if service.spec is None else f"http://{service.spec.cluster_ip}:8000"

    def url_there(self) -> str:
        """Return where the service answers, once it exists."""
        return wait_for(self.url, "a Service with an address")

    def answer(self, user: str = "ada") -> dict[str, Any] | None:
        """Return recommendations with nothing missing; None while there are none."""
        url = self.url()
        try:
            got = httpx.post(f"{url}/v1/recommend", json={"user_id": user, "top_n": 10}, timeout=5.0)
        except (httpx.HTTPError, httpx.InvalidURL):
            return None
        answer: dict[str, Any] = got.json() if got.status_code == httpx.codes.OK else {}
        return answer if answer.get("degraded") == [] else None

    def document(self) -> TrafficDocument:
        """Return the traffic document."""
        return open_traffic_store(f"configmap://{self.namespace}/{NAME}-traffic").read()

    def gives_all(self, bundle: str) -> str | None:
        """Return the bundle once the traffic document gives it to everybody and an answer comes by it."""
        answer = self.answer()
        document = self.document()
        everybody = document.bundle_of(document.arms[0]) == bundle
        return bundle if everybody and answer is not None and answer["bundle"] == bundle else None

    def standing(self) -> dict[str, str]:
        """Return what the controller tells people."""
        try:
            found = self.core.read_namespaced_config_map(f"{NAME}-rollout", self.namespace)
        except ApiException:
            return {}
        return found.data or {}

    def warnings(self) -> list[str]:
        """Return the controller's warnings, as Events have them."""
        events = self.core.list_namespaced_event(self.namespace, field_selector="type=Warning").items
        return [f"{one.reason}: {one.message}" for one in events if one.involved_object.kind == "ConfigMap"]

    def wait_for_phase(self, *phases: str, at_most_s: float = 180.0) -> dict[str, str]:
        """Wait until the rollout stands so; return what people are told."""

        def look() -> dict[str, str] | None:
            told = self.standing()
            return told if told.get("phase") in phases else None

        return wait_for(look, " or ".join(phases), at_most_s=at_most_s)


def _metadata(pod: V1Pod) -> V1ObjectMeta:
    assert pod.metadata is not None
    return pod.metadata


def _is_ready(pod: V1Pod) -> bool:
    conditions = pod.status.conditions if pod.status is not None else None
    return any(one.type == "Ready" and one.status == "True" for one in conditions or ())
