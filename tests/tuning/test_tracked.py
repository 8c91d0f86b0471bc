import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recsys.core.errors import InputError
from recsys.tracking.open import open_tracking
from recsys.tracking.outbox import Outbox
from recsys.tracking.run import Tell, untold
from tuning.document import Opening
from tuning.journal import Ended, Outcome, Point, Started, open_journal
from tuning.objectives import Step
from tuning.sweep import Sweep
from tuning.tracked import TrackedSweep, tracked

Mlflow = Any
RowOf = Callable[..., Ended]
RunOf = Callable[[str], Mlflow]
DEPTH = {"boosting.max_depth": 3}


@pytest.fixture
def opening(tiny_sweep: Sweep) -> Opening:
    return Opening(data="/data/here", fingerprint="f" * 64, sweep_name="mine", sweep=tiny_sweep)


@pytest.fixture
def tell(mlflow_address: str, tmp_path: Path) -> Tell:
    return outbox(mlflow_address, tmp_path, []).tell


def outbox(address: str, home: Path, warned: list[str]) -> Outbox:
    return Outbox(open_tracking(address, home), lambda: 0.0, warned.append)


def started(number: int) -> Started:
    return Started(step=Step.RANKER, number=number, parameters=DEPTH)


def ended(row_of: RowOf, number: int, **changes: object) -> Ended:
    curve = (Point(n_trees=50, ndcg=0.1), Point(n_trees=100, ndcg=0.2))
    return row_of(number, 0.25, parameters=DEPTH).model_copy(update={"curve": curve, **changes})


def children(client: Mlflow, run_of: RunOf) -> dict[str, str]:
    """Return how each trial stands in MLflow."""
    parent = run_of("sweep mine").info
    found = client.search_runs([parent.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.run_id}'")
    assert len({run.info.run_name for run in found}) == len(found)  # no doubles
    return {run.info.run_name: run.info.status for run in found}


def test_trials_are_runs_below_the_run_of_their_sweep(
    opening: Opening, tell: Tell, mlflow_client: Mlflow, run_of: RunOf, row_of: RowOf, tmp_path: Path
) -> None:
    with open_journal(tmp_path) as journal, tracked(opening, journal, tell):
        for number in range(3):
            journal.append(started(number))
        assert run_of("ranker 0").info.status == "RUNNING"
        journal.append(ended(row_of, 0))
        journal.append(ended(row_of, 1, outcome=Outcome.STOPPED))
        error = {"outcome": Outcome.FAILED, "measures": {}, "curve": (), "error": "ValueError: no"}
        journal.append(ended(row_of, 2, **error))
    assert children(mlflow_client, run_of) == {
        "ranker 0": "FINISHED",
        "ranker 1": "FINISHED",
        "ranker 2": "FAILED",
    }
    first = run_of("ranker 0")
    assert first.data.params == {"boosting.max_depth": "3"}
    assert first.data.metrics == {"look/ndcg_at_10": 0.2, "ndcg_at_10": 0.25, "ms_per_request": 1.0}
    looks = mlflow_client.get_metric_history(first.info.run_id, "look/ndcg_at_10")
    assert [(point.step, point.value) for point in looks] == [(50, 0.1), (100, 0.2)]
    assert run_of("ranker 1").data.tags["marquee.outcome"] == "stopped"
    assert run_of("ranker 2").data.tags["marquee.error"] == "ValueError: no"
    assert run_of("sweep mine").info.status == "FINISHED"
    assert run_of("sweep mine").data.params["protocol"] == "leave-last-out"


@pytest.mark.parametrize(
    ("leave", "status"), [(KeyboardInterrupt(), "KILLED"), (InputError("no trial has finished"), "FAILED")]
)
def test_a_sweep_that_is_left_goes_on_in_the_same_runs(
    opening: Opening,
    tell: Tell,
    mlflow_client: Mlflow,
    run_of: RunOf,
    row_of: RowOf,
    tmp_path: Path,
    leave: BaseException,
    status: str,
) -> None:
    with (
        contextlib.suppress(type(leave)),
        open_journal(tmp_path) as journal,
        tracked(opening, journal, tell),
    ):
        journal.append(started(0))
        journal.append(ended(row_of, 0))
        journal.append(started(1))
        raise leave
    assert run_of("sweep mine").info.status == status
    assert children(mlflow_client, run_of) == {"ranker 0": "FINISHED", "ranker 1": "KILLED"}
    with open_journal(tmp_path) as journal, tracked(opening, journal, tell):
        assert run_of("sweep mine").info.status == "RUNNING"
        assert children(mlflow_client, run_of) == {"ranker 0": "FINISHED", "ranker 1": "RUNNING"}
        journal.append(ended(row_of, 1))
    assert children(mlflow_client, run_of) == {"ranker 0": "FINISHED", "ranker 1": "FINISHED"}
    looks = mlflow_client.get_metric_history(run_of("ranker 0").info.run_id, "look/ndcg_at_10")
    assert len(looks) == 2


def test_what_a_server_that_is_down_has_missed_is_told_with_the_next_resume(
    opening: Opening, mlflow_address: str, mlflow_client: Mlflow, run_of: RunOf, row_of: RowOf, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    nowhere, warned = f"sqlite:///{tmp_path}/file/mlflow.db", list[str]()
    down = outbox(nowhere, tmp_path, warned)
    with open_journal(tmp_path) as journal, tracked(opening, journal, down.tell):
        journal.append(started(0))
        journal.append(ended(row_of, 0))
    assert down.n_waiting == 4
    assert len(warned) == 1
    there = outbox(mlflow_address, tmp_path, warned)
    with open_journal(tmp_path) as journal, tracked(opening, journal, there.tell):
        pass
    assert (there.n_waiting, len(warned)) == (0, 1)
    assert children(mlflow_client, run_of) == {"ranker 0": "FINISHED"}
    assert run_of("ranker 0").data.metrics["ndcg_at_10"] == 0.25


def test_a_sweep_that_nobody_tracks_is_told_to_nobody(opening: Opening, tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal, tracked(opening, journal, untold) as sweep:
        journal.append(started(0))
    assert isinstance(sweep, TrackedSweep)
