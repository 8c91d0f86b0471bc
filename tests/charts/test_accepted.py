"""A real API server, with KubeRay's definitions, takes every object as it stands. Nothing is kept of them."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CHART = Path(__file__).parents[2] / "charts" / "marquee"
SCENARIOS = sorted(path.name for path in (CHART / "ci").glob("*-values.yaml"))

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_object_is_accepted(helm: Callable[..., Any], namespace: str, scenario: str) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl on PATH; ../shared/cluster/up prints the line that adds it")
    values = str(CHART / "ci" / scenario)
    objects = helm("template", "mq", str(CHART), "--namespace", namespace, "--values", values).stdout
    asked = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-n", namespace, "-f", "-"]
    done = subprocess.run([kubectl, *asked], input=objects, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "rayservice.ray.io/" in done.stdout
