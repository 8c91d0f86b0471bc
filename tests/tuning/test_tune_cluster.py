"""The command against a Ray cluster that somebody else has started."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from recsys.core.errors import FieldError
from tuning.journal import FILE, Ended, Outcome, read_events
from tuning.problem import Problem
from tuning.ray_tune import Cluster, RayTuneRunner

_PATIENCE_S = 120.0

SWEEP = """
[data]
max_users = 60
[budget]
trials = 2
minutes = 5
look_every_trees = 4
grace_trees = 8
[fixed]
"knowledge.recall.sequential.min_events" = 2
"knowledge.recall.sequential.rank" = 4
"knowledge.recall.svd.n_factors" = 3
"cross_fit.n_folds" = 2
"cross_fit.min_positions" = 2
"cross_fit.max_positions" = 2
"cross_fit.n_candidates" = 10
"n_candidates" = 15
"boosting.n_trees" = 8
[space.ranker]
"boosting.max_depth" = {low = 1, high = 3}
"""


@dataclass(frozen=True, slots=True)
class Head:
    """A cluster of one node and one core, which lets in whoever has its token."""

    address: str
    environment: dict[str, str]


@pytest.fixture
def head() -> Iterator[Head]:
    """Start a cluster with a token of its own, from another folder than the tests'."""
    folder = Path(tempfile.mkdtemp(prefix="ray"))  # its sockets need a short path
    with_token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": uuid4().hex, "RAY_USAGE_STATS_ENABLED": "0"}
    environment = {**os.environ, **with_token}
    ray = Path(sys.executable).parent / "ray"
    options = "--head --block --port=0 --node-ip-address=127.0.0.1 --num-cpus=1 --include-dashboard=false"
    started = [str(ray), "start", *options.split(), f"--temp-dir={folder}", "--object-store-memory=200000000"]
    with (folder / "said.txt").open("wb") as said:
        process = subprocess.Popen(started, stdout=said, stderr=said, cwd=folder, env=environment)
    try:
        yield Head(address_in(folder / "ray_current_cluster", process), environment)
    finally:
        process.terminate()
        process.wait(_PATIENCE_S)
        shutil.rmtree(folder, ignore_errors=True)


def address_in(file: Path, process: "subprocess.Popen[bytes]") -> str:
    until_s = time.monotonic() + _PATIENCE_S
    while not (file.exists() and file.read_text()):
        assert process.poll() is None, (file.parent / "said.txt").read_text()
        assert time.monotonic() < until_s
        time.sleep(0.1)
    return file.read_text().strip()


def tuned(head: Head, *arguments: object) -> dict[str, Any]:
    """Run the command as a process that has the token."""
    command = [sys.executable, "-c", "from tuning.cli import app; app()"]
    options = (*arguments, "--address", head.address, "--json")
    done = subprocess.run(
        [*command, *(str(option) for option in options)],
        capture_output=True,
        check=False,
        env=head.environment,
        timeout=_PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr.decode()
    facts = json.loads(done.stdout)
    assert isinstance(facts, dict)
    return facts


@pytest.mark.slow
def test_a_sweep_runs_on_a_cluster_by_its_address_and_leaves_it_running(
    simulated_folder: Path, tmp_path: Path, head: Head
) -> None:
    sweep, out = tmp_path / "tiny.toml", tmp_path / "out"
    sweep.write_text(SWEEP)
    to = ("--registry", tmp_path / "registry", "--no-refit")
    tuned(head, "--data", simulated_folder, "--sweep", sweep, "--out", out, *to)
    assert tuned(head, "--resume", out, "--trials", 3, *to)["n_trials"] == 3
    rows = [event for event in read_events(out / FILE) if isinstance(event, Ended)]
    assert [(row.number, row.outcome) for row in rows] == [(n, Outcome.FINISHED) for n in range(3)]
    assert not (out / "ray").exists()


def test_an_address_that_tune_cannot_work_through_is_refused(problem: Problem, tmp_path: Path) -> None:
    with pytest.raises(FieldError, match="from within the cluster"):
        RayTuneRunner(problem, tmp_path, Cluster("ray://127.0.0.1:10001", 1, 0))
