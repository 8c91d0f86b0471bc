"""Helm, and what it makes of the chart."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).parents[2] / "charts" / "marquee"
_CACHE = Path(os.environ.get("CLUSTER_CACHE", Path.home() / ".cache" / "local-cluster")) / "bin"

Objects = dict[tuple[str, str], dict[str, Any]]
Helm = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Run helm with some arguments; return what came of it."""
    program = shutil.which("helm") or shutil.which("helm", path=str(_CACHE))
    if program is None:
        pytest.skip("no helm on PATH, and none in the cache of ../shared/cluster")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def rendered(helm: Helm) -> Callable[..., Objects]:
    """Render the chart; return its objects by kind and name."""

    def render(*arguments: str, release: str = "mq", namespace: str = "shop") -> Objects:
        done = helm("template", release, str(CHART), "--namespace", namespace, *arguments)
        assert done.returncode == 0, done.stderr
        documents = [document for document in yaml.safe_load_all(done.stdout) if document]
        return {(one["kind"], one["metadata"]["name"]): one for one in documents}

    return render


@pytest.fixture(scope="session")
def refusal(helm: Helm) -> Callable[..., str]:
    """Render the chart, which Helm has to refuse; return why."""

    def render(*arguments: str) -> str:
        done = helm("template", "mq", str(CHART), *arguments)
        assert done.returncode != 0, done.stdout
        return done.stderr

    return render
