"""A real API server, with KubeRay's definitions, takes every object as it stands. Nothing is kept of them."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

CHARTS = Path(__file__).parents[2] / "charts"
SCENARIOS = sorted(str(path.relative_to(CHARTS)) for path in CHARTS.glob("*/ci/*-values.yaml"))

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_object_is_accepted(helm: Callable[..., Any], namespace: str, scenario: str) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl on PATH; ../shared/cluster/up prints the line that adds it")
    chart, values = CHARTS / scenario.partition("/")[0], CHARTS / scenario
    asked = [
        "--namespace",
        namespace,
        "--values",
        str(values),
        "--skip-tests",
    ]  # a pod wants its account first
    rendered = helm("template", "mq", str(chart), *asked).stdout
    known = subprocess.run(
        [kubectl, "api-resources", "--no-headers"], capture_output=True, text=True, check=True
    )
    kinds = {line.split()[-1] for line in known.stdout.splitlines()}
    documents = [one for one in yaml.safe_load_all(rendered) if one and one["kind"] in kinds]
    objects = yaml.safe_dump_all(documents)  # without those of operators that this cluster has not
    asked = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-n", namespace, "-f", "-"]
    done = subprocess.run([kubectl, *asked], input=objects, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert ".ray.io/" in done.stdout
