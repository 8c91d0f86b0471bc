"""Images in the cluster, bundles on its node, releases of the chart."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from kubernetes.client import CoreV1Api, V1Namespace, V1ObjectMeta

from recsys.registry.local import LocalRegistry
from tests.e2e.bundles import Bundles, train_bundles
from tests.e2e.load import under_load
from tests.e2e.release import SMALL, Release, wait_for

ROOT = Path(__file__).parents[2]
IMAGES = {"marquee:dev": ROOT, "marquee-redis:dev": ROOT / "tests" / "e2e" / "images" / "redis"}

Releases = Callable[..., Release]


@pytest.fixture(scope="session")
def images(cluster: CoreV1Api) -> None:
    """Give the cluster the images, unless somebody says that it has them (``MARQUEE_IMAGES=ready``)."""
    del cluster
    for program in ("helm", "kubectl"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} on PATH; ../shared/cluster/up prints the line that adds it")
    build = ROOT.parent / "shared" / "cluster" / "image"
    if os.environ.get("MARQUEE_IMAGES") == "ready":
        return
    if not build.is_file():
        pytest.skip(
            "no ../shared/cluster beside the project to build images with; or set MARQUEE_IMAGES=ready"
        )
    for tag, folder in IMAGES.items():
        subprocess.run([str(build), tag, str(folder)], check=True, stdout=sys.stderr)
    batch = [str(build), "marquee-batch:dev", str(ROOT), str(ROOT / "Dockerfile.batch")]
    subprocess.run(batch, check=True, stdout=sys.stderr)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the node, which is this machine, that the image's user may write."""
    folder = tmp_path_factory.mktemp("files")
    for above in (folder, *folder.parents[:2]):
        above.chmod(0o755)
    folder.chmod(0o777)
    return folder


@pytest.fixture(scope="session")
def bundles(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    """Three bundles in the registry of the folder."""
    trained = train_bundles(LocalRegistry(files / "registry"), tmp_path_factory.mktemp("world") / "data")
    for path in (files, *files.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    return trained


@pytest.fixture(scope="module")
def releases(cluster: CoreV1Api, images: None, files: Path) -> Iterator[Releases]:
    """Make releases of a module's own."""
    del images
    with _releases(cluster, files) as release:
        yield release


@pytest.fixture(scope="session")
def shared_release(cluster: CoreV1Api, images: None, files: Path, bundles: Bundles) -> Iterator[Release]:
    """A release with two worker pods, installed once for all tests: that takes longer than most of them."""
    del images
    with _releases(cluster, files) as releases:
        release = releases(**two_workers(bundles))
        release.install()
        yield release


@pytest.fixture
def running(shared_release: Release, bundles: Bundles) -> Release:
    """The shared release as it was installed: two worker pods, the first bundle for all, nothing moves."""
    release = shared_release
    wait_for(release.answer, "the first full answer", at_most_s=900.0)
    if release.is_changed():
        with under_load(release.url_there()):  # a canary's steps wait for exposures
            release.upgrade()
            wait_for(lambda: release.gives_all(bundles.first), "answers by the first bundle")
            release.wait_for_phase("promoted", "aborted")
            release.wait_until_settled()
    wait_for(lambda: release.ready("worker")[1:] or None, "a second worker pod that is ready")
    return release


@contextmanager
def _releases(cluster: CoreV1Api, files: Path) -> Iterator[Releases]:
    """Make releases of the chart, each in a namespace of its own that goes at the end, with small values."""
    made: list[Release] = []

    def release(**values: object) -> Release:
        name = f"marquee-e2e-{uuid4().hex[:8]}"
        path = files.parent / f"{name}.yaml"
        path.write_text(yaml.safe_dump(values))
        cluster.create_namespace(V1Namespace(metadata=V1ObjectMeta(name=name)))
        folder = f"persistence.hostPath={files}"
        flags = ("--values", str(SMALL), "--values", str(path), "--set", folder)
        made.append(Release(cluster, name, flags))
        return made[-1]

    yield release
    for one in made:
        if "mq" in one.helm("list", "--short"):
            one.helm("uninstall", "mq")
        cluster.delete_namespace(one.namespace)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Tell a figure to whoever looks on."""

    def tell(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n  {text}")

    return tell


def two_workers(bundles: Bundles) -> dict[str, object]:
    """Values for two worker pods, rollouts of seconds, and a fault in one of the bundles."""
    steps = [{"share": share, "min_time": "4s", "min_exposures": 10} for share in (0.1, 0.5, 1.0)]
    shares = {"error_share": 0.02, "degraded_share": 0.05}
    rails = [
        {"metric": metric, "compare": "difference", "limit": limit, "min_sample": 5}
        for metric, limit in shares.items()
    ]
    return {
        "demo": {"enabled": False},
        "model": {"bundle": bundles.first},
        "controller": {"everyS": 1},
        "rollout": {"steps": steps, "guardrails": rails, "hold": "5s"},
        "ray": {
            "worker": {"minReplicas": 2, "maxReplicas": 3, "resources": {"requests": {"cpu": "250m"}}},
        },
        "serve": {
            "faults": {bundles.faulty: {"error_share": 1.0}},
            "cache": {"enabled": False},  # every answer is worked out
            # A pause of half a second on a machine that others use as well says nothing of the chart.
            "overload": {"max_wait_s": 3.0},
        },
    }
