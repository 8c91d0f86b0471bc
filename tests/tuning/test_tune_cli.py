"""The whole command with real processes: Ray, Optuna, a folder, a registry."""

import importlib.util
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from recsys.cli.train import read_config
from recsys.core.errors import ConflictError, DataFormatError, FieldError, InputError
from recsys.registry.local import LocalRegistry
from tuning.cli import app
from tuning.command import Limits, begin, resume
from tuning.journal import FILE, Ended, Outcome, Started, read_events
from tuning.objectives import Objective, Step

# What a shell starts with `&` is deaf to Ctrl-C, and so are its children: a CI run may be such a job.
HEARS_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
COMMAND = (sys.executable, "-c", f"{HEARS_CTRL_C}; from tuning.cli import app; app()")
_PATIENCE_S = 120.0

SWEEP = """
[data]
max_users = 60
[budget]
trials = 4
minutes = 5
look_every_trees = 4
grace_trees = 4
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
"boosting.max_depth" = 2
"""
SPACE = """
[space.recall]
"knowledge.recall.sequential.ridge" = {low = 2.0, high = 200.0, log = true}
[space.ranker]
"boosting.max_depth" = {low = 1, high = 3}
"boosting.learning_rate" = {low = 0.05, high = 0.5, log = true}
"""


@pytest.fixture
def sweep_file(tmp_path: Path) -> Path:
    return written(tmp_path / "tiny.toml", SWEEP + SPACE)


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def tuned(*arguments: object) -> dict[str, Any]:
    """Run the command in this process and return what it prints."""
    result = CliRunner().invoke(app, [*(str(argument) for argument in arguments), "--json"])
    if result.exception is not None:
        raise result.exception
    facts = json.loads(result.stdout)
    assert isinstance(facts, dict)
    return facts


def rows_of(folder: Path) -> list[Ended]:
    return [event for event in read_events(folder / FILE) if isinstance(event, Ended)]


def wait_for(what: Callable[[], bool], of: subprocess.Popen[bytes]) -> None:
    """Wait until it is so, or the process is over."""
    until_s = time.monotonic() + _PATIENCE_S
    while not what():
        assert of.poll() is None, "the command ended before"
        assert time.monotonic() < until_s
        time.sleep(0.05)


@pytest.mark.slow
def test_a_sweep_ends_in_a_report_and_a_bundle_and_is_not_run_twice(
    simulated_folder: Path, tmp_path: Path, sweep_file: Path
) -> None:
    out, root = tmp_path / "out", tmp_path / "registry"
    arguments = ["--registry", root, "--channel", "candidate", "--concurrent", 2]
    is_tracked = importlib.util.find_spec("mlflow") is not None
    if is_tracked:
        arguments += ["--track", f"sqlite:///{tmp_path}/mlflow.db"]
    facts = tuned("--data", simulated_folder, "--sweep", sweep_file, "--out", out, *arguments)
    rows = rows_of(out)
    assert [(row.step, row.number) for row in sorted(rows, key=lambda row: (row.step.value, row.number))] == [
        (Step.RANKER, 0),
        (Step.RANKER, 1),
        (Step.RANKER, 2),
        (Step.RECALL, 0),
    ]
    assert all(row.outcome in (Outcome.FINISHED, Outcome.STOPPED) for row in rows)
    assert all(set(row.measures) == set(Objective) for row in rows if is_whole(row))
    assert [point.n_trees for point in next(row for row in rows if is_whole(row)).curve] == [4, 8]
    registry = LocalRegistry(root)
    assert registry.channels().named_by("candidate") == facts["bundle"]
    (info,) = registry.list()
    assert info.manifest is not None
    assert info.manifest.meta["settings"] == json.loads((out / "best.json").read_bytes())
    assert read_config(out / "best.json").boosting.n_trees == 8
    assert facts["test"]["ndcg@10"] > 0.0
    assert (out / "report.html").read_text().startswith("<!doctype html>")
    assert not (out / "ray").exists()
    again = tuned("--resume", out, *arguments)
    assert again == facts
    assert rows_of(out) == rows
    if is_tracked:
        check_tracked(f"sqlite:///{tmp_path}/mlflow.db", facts)


def check_tracked(address: str, facts: dict[str, Any]) -> None:
    """Look at what MLflow has of the sweep, which was told of it twice."""
    from mlflow import MlflowClient

    client: Any = MlflowClient(tracking_uri=address, registry_uri=address)
    runs = {
        run.info.run_name: run
        for run in client.search_runs([client.get_experiment_by_name("marquee").experiment_id])
    }
    assert set(runs) == {
        "sweep tiny",
        "recall 0",
        "ranker 0",
        "ranker 1",
        "ranker 2",
        f"bundle {facts['bundle']}",
    }
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    sweep = runs["sweep tiny"]
    assert sweep.data.metrics["test/ndcg_at_10"] == facts["test"]["ndcg@10"]
    assert sweep.data.tags["marquee.bundle"] == facts["bundle"]
    files = {file.path for file in client.list_artifacts(sweep.info.run_id)}
    assert files == {"best.json", "plots", "report.html", "report.json", "sweep.json"}
    whole = next(run for name, run in runs.items() if name.startswith("ranker") and is_whole_run(run))
    looks = client.get_metric_history(whole.info.run_id, "look/ndcg_at_10")
    assert [point.step for point in looks] == [4, 8]
    version = client.get_model_version_by_alias("marquee", "candidate")
    assert version.tags["marquee.bundle"] == facts["bundle"]


def is_whole_run(run: Any) -> bool:  # noqa: ANN401 - MLflow's
    return bool(run.data.tags["marquee.outcome"] == "finished")


def is_whole(row: Ended) -> bool:
    return row.outcome is Outcome.FINISHED and row.step is Step.RANKER


@pytest.mark.slow
def test_failed_trials_are_rows_and_a_sweep_where_all_fail_says_why(
    simulated_folder: Path, tmp_path: Path
) -> None:
    no_room = f'[space.recall]\n"n_candidates" = {{low = {2**44}, high = {2**45}}}\n'
    text = SWEEP.replace("trials = 4", "trials = 2") + no_room
    sweep = written(tmp_path / "broken.toml", text)
    out = tmp_path / "out"
    with pytest.raises(InputError, match="2 of 2 failed, the first: "):
        tuned("--data", simulated_folder, "--sweep", sweep, "--out", out, "--registry", tmp_path / "registry")
    assert [row.outcome for row in rows_of(out)] == [Outcome.FAILED] * 2
    assert all("MemoryError" in row.error for row in rows_of(out))


def begun(folder: Path, *arguments: object) -> "subprocess.Popen[bytes]":
    """Run the command as a process of its own."""
    with (folder.parent / "said.txt").open("ab") as said:
        return subprocess.Popen(
            [*COMMAND, *(str(argument) for argument in arguments)], stdout=subprocess.DEVNULL, stderr=said
        )


LONG = (
    SWEEP.replace("trials = 4", "trials = 6")
    .replace("every_trees = 4", "every_trees = 20")
    .replace("grace_trees = 4", "grace_trees = 4000")
    .replace('"boosting.n_trees" = 8', '"boosting.n_trees" = 2000')
    + """
[space.ranker]
"boosting.learning_rate" = {low = 0.001, high = 0.01, log = true}
"""
)
"""Trials of some seconds, none of which is stopped."""


@pytest.mark.slow
def test_a_driver_that_is_killed_goes_on_where_it_was(simulated_folder: Path, tmp_path: Path) -> None:
    sweep, out = written(tmp_path / "long.toml", LONG), tmp_path / "out"
    to = ("--registry", tmp_path / "registry", "--no-refit", "--concurrent", 2)
    process = begun(out, "--data", simulated_folder, "--sweep", sweep, "--out", out, *to)
    wait_for(lambda: (out / FILE).exists() and len(rows_of(out)) >= 2, process)
    process.kill()
    process.wait()
    before = rows_of(out)
    running = [event for event in read_events(out / FILE) if isinstance(event, Started)][len(before) :]
    facts = tuned("--resume", out, *to)
    rows = rows_of(out)
    assert rows[: len(before)] == before
    assert sorted(row.number for row in rows) == list(range(6))
    assert facts["n_trials"] == 6
    known = {row.number: row.parameters for row in rows}
    assert all(known[event.number] == event.parameters for event in running)


@pytest.mark.slow
def test_a_trial_whose_process_is_killed_is_run_again(simulated_folder: Path, tmp_path: Path) -> None:
    sweep, out = written(tmp_path / "long.toml", LONG.replace("trials = 6", "trials = 2")), tmp_path / "out"
    to = ("--registry", tmp_path / "registry", "--no-refit", "--concurrent", 1)
    process = begun(out, "--data", simulated_folder, "--sweep", sweep, "--out", out, *to)
    wait_for(lambda: (out / FILE).exists() and bool(read_events(out / FILE)), process)
    (worker,) = workers_of(process)
    worker.kill()
    wait_for(lambda: bool(rows_of(out)), process)
    assert process.wait(_PATIENCE_S) == 0
    rows = rows_of(out)
    assert [row.outcome for row in rows] == [Outcome.FINISHED] * 2
    assert sum(row.n_deaths for row in rows) == 1
    assert all([point.n_trees for point in row.curve] == list(range(20, 2001, 20)) for row in rows)


def workers_of(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    """Return the processes in which trials are at work: Ray calls them by what they do."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if "ImplicitFunc" in " ".join(child.cmdline()):
                found.append(child)
        except psutil.Error:  # it has just ended
            continue
    return found


@pytest.mark.slow
def test_ctrl_c_keeps_every_row_and_says_how_to_go_on(simulated_folder: Path, tmp_path: Path) -> None:
    sweep, out = written(tmp_path / "long.toml", LONG), tmp_path / "out"
    to = ("--registry", tmp_path / "registry", "--no-refit", "--concurrent", 2)
    process = begun(out, "--data", simulated_folder, "--sweep", sweep, "--out", out, *to)
    wait_for(lambda: (out / FILE).exists() and len(rows_of(out)) >= 1, process)
    process.send_signal(signal.SIGINT)
    assert process.wait(_PATIENCE_S) == 130
    assert rows_of(out)
    assert f"marquee tune --resume {out}" in (tmp_path / "said.txt").read_text()


def refused(kind: type[Exception], *arguments: object) -> str:
    with pytest.raises(kind) as error:
        tuned(*arguments)
    return str(error.value)


def test_what_is_missing_or_wrong_is_said_before_anything_is_run(
    simulated_folder: Path, tmp_path: Path, sweep_file: Path
) -> None:
    to = ("--registry", tmp_path / "registry")
    assert "--data: got nothing" in refused(FieldError, "--out", tmp_path, *to)
    assert "--out: got nothing" in refused(FieldError, "--data", simulated_folder, *to)
    nowhere = ("--data", tmp_path / "none", "--out", tmp_path / "out")
    refused(DataFormatError, *nowhere, *to)
    assert "sweep.json" in refused(DataFormatError, "--resume", tmp_path, *to)
    out = tmp_path / "old"
    out.mkdir()
    (out / FILE).touch()
    message = refused(FieldError, "--data", simulated_folder, "--sweep", sweep_file, "--out", out, *to)
    assert f"--resume {out}" in message


def test_a_sweep_is_not_resumed_on_other_data(
    simulated_folder: Path, tmp_path: Path, sweep_file: Path
) -> None:
    out, limits = tmp_path / "out", Limits(trials=7, minutes=1.5)
    opening = begin(simulated_folder, str(sweep_file), out, limits).opening
    assert (opening.sweep_name, opening.sweep.budget.trials, opening.sweep.budget.minutes) == ("tiny", 7, 1.5)
    more = resume(out, None, Limits(trials=9)).opening.sweep.budget
    assert (more.trials, more.minutes) == (9, 1.5)
    with pytest.raises(ConflictError, match="the data of the sweep"):
        resume(out, sweep_file, Limits())
