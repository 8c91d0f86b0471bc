"""From an empty namespace to the first good answer, on a real cluster with KubeRay's operator."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from kubernetes.client import ApiException, CoreV1Api, CustomObjectsApi

from deployments.kubernetes.connection import api_client
from deployments.traffic_stores import open_traffic_store

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "marquee"
IMAGES = {"marquee:dev": ROOT, "marquee-redis:dev": ROOT / "tests" / "e2e" / "images" / "redis"}

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def helm(cluster: CoreV1Api) -> Callable[..., str]:
    """Run helm against the cluster; return what it prints."""
    del cluster
    if shutil.which("helm") is None:
        pytest.skip("no helm on PATH; ../shared/cluster/up prints the line that adds it")

    def run(*arguments: str) -> str:
        done = subprocess.run(["helm", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def images(cluster: CoreV1Api) -> None:
    """Give the cluster both images, unless somebody says that it has them (``MARQUEE_IMAGES=ready``)."""
    del cluster
    build = ROOT.parent / "shared" / "cluster" / "image"
    if os.environ.get("MARQUEE_IMAGES") == "ready":
        return
    if not build.is_file():
        pytest.skip(
            "no ../shared/cluster beside the project to build images with; or set MARQUEE_IMAGES=ready"
        )
    for tag, folder in IMAGES.items():
        subprocess.run([str(build), tag, str(folder)], check=True, stdout=sys.stderr)


@pytest.fixture
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the node, which is this machine, that the image's user may write."""
    folder = tmp_path_factory.mktemp("files")
    for above in (folder, *folder.parents[:2]):
        above.chmod(0o755)
    folder.chmod(0o777)
    return folder


@pytest.fixture
def installed(helm: Callable[..., str], images: None, namespace: str, files: Path) -> Iterator[str]:
    """Install the chart with a bundle of its own making; return the namespace."""
    del images
    values = str(CHART / "ci" / "small-values.yaml")
    set_files = f"persistence.hostPath={files}"
    helm("install", "mq", str(CHART), "--namespace", namespace, "--values", values, "--set", set_files)
    yield namespace
    helm("uninstall", "mq", "--namespace", namespace)


def test_from_nothing_to_the_first_full_answer(
    installed: str, cluster: CoreV1Api, capsys: pytest.CaptureFixture[str]
) -> None:
    began_s = time.monotonic()
    service = wait_for(lambda: address(cluster, installed), "a Service with an address")
    running_s = time.monotonic() - began_s
    answer = wait_for(lambda: full_answer(service), "an answer with nothing missing")
    answered_s = time.monotonic() - began_s
    with capsys.disabled():
        sys.stdout.write(f"\nanswers after {running_s:.0f} s, in full after {answered_s:.0f} s\n")
    assert len(answer["items"]) == 10
    assert answer["arm"] == "stable"
    service_status = ray_service(installed)["status"]["activeServiceStatus"]
    assert service_status["applicationStatuses"]["marquee"]["status"] == "RUNNING"
    document = open_traffic_store(f"configmap://{installed}/mq-marquee-traffic").read()
    assert document.bundle_of(document.arms[0]) == answer["bundle"]


def ray_service(namespace: str) -> dict[str, Any]:
    """Return the RayService as the API server has it."""
    api = CustomObjectsApi(api_client())
    found: dict[str, Any] = api.get_namespaced_custom_object(
        "ray.io", "v1", namespace, "rayservices", "mq-marquee"
    )
    return found


def wait_for(look: Callable[[], Any], what: str, *, at_most_s: float = 900.0) -> Any:  # noqa: ANN401
    """Return the first thing that is there."""
    give_up_s = time.monotonic() + at_most_s
    while time.monotonic() < give_up_s:
        if (found := look()) is not None:
            return found
        time.sleep(2.0)
    pytest.fail(f"waited {at_most_s:.0f} s for {what}")


def address(cluster: CoreV1Api, namespace: str) -> str | None:
    """Return where the service answers; None while it does not exist."""
    try:
        service = cluster.read_namespaced_service("mq-marquee-serve-svc", namespace)
    except ApiException:
        return None
    return None if service.spec is None else f"http://{service.spec.cluster_ip}:8000"


def full_answer(url: str) -> dict[str, Any] | None:
    """Return recommendations without anything missing; None while there are none."""
    try:
        got = httpx.post(f"{url}/v1/recommend", json={"user_id": "ada", "top_n": 10}, timeout=5.0)
    except httpx.HTTPError:
        return None
    answer: dict[str, Any] = got.json() if got.status_code == httpx.codes.OK else {}
    return answer if answer.get("degraded") == [] else None
