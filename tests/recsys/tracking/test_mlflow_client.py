import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recsys.core.errors import UnavailableError
from recsys.tracking.open import open_tracking
from recsys.tracking.run import Figure, How, Result, Run, Tracking, Version

Mlflow = Any
"""Its own client: an extra, and not typed here."""
RunOf = Callable[[str], Mlflow]


@pytest.fixture
def tracking(mlflow_address: str, tmp_path: Path) -> Tracking:
    return open_tracking(mlflow_address, tmp_path)


LOOKS = (Figure("look/ndcg@10", 0.1, 50), Figure("look/ndcg@10", 0.25, 100), Figure("ndcg@10", 0.2, 100))
DONE = Result(how=How.FINISHED, seconds=2.5, figures=LOOKS, tags={"marquee.outcome": "finished"})


def told(tracking: Tracking) -> None:
    tracking.begin(Run(key="s", name="sweep"))
    tracking.begin(Run(key="s/1", name="trial", parent="s", parameters={"depth": 4, "kind": "linear"}))
    tracking.end("s/1", DONE)


def test_a_run_is_read_back_by_the_client_of_mlflow(
    tracking: Tracking, mlflow_client: Mlflow, run_of: RunOf
) -> None:
    told(tracking)
    run = run_of("trial")
    assert run.data.params == {"depth": "4", "kind": "linear"}
    assert run.data.metrics == {"look/ndcg_at_10": 0.25, "ndcg_at_10": 0.2}
    looks = mlflow_client.get_metric_history(run.info.run_id, "look/ndcg_at_10")
    assert [(point.step, point.value) for point in looks] == [(50, 0.1), (100, 0.25)]
    assert looks[0].timestamp == run.info.start_time + 2_500
    assert run.info.status == "FINISHED"
    assert run.data.tags["marquee.outcome"] == "finished"
    assert run.data.tags["mlflow.parentRunId"] == run_of("sweep").info.run_id
    assert run_of("sweep").info.status == "RUNNING"


def test_what_is_told_twice_is_kept_once(
    tracking: Tracking, mlflow_client: Mlflow, run_of: RunOf, mlflow_address: str, tmp_path: Path
) -> None:
    told(tracking)
    told(tracking)
    told(open_tracking(mlflow_address, tmp_path))  # another process
    mlflow_client.update_run(
        run_of("trial").info.run_id, status="RUNNING"
    )  # it died before it could say the end
    told(open_tracking(mlflow_address, tmp_path))
    run = run_of("trial")
    assert run.info.status == "FINISHED"
    assert len(mlflow_client.get_metric_history(run.info.run_id, "look/ndcg_at_10")) == 2


@pytest.mark.parametrize(
    ("how", "again", "after"),
    [
        (How.KILLED, False, "RUNNING"),
        (How.FAILED, False, "FAILED"),
        (How.FAILED, True, "RUNNING"),
        (How.FINISHED, False, "FINISHED"),
        (How.FINISHED, True, "RUNNING"),
    ],
)
def test_a_run_that_was_cut_off_begins_anew_and_others_only_when_asked(
    tracking: Tracking, run_of: RunOf, how: How, *, again: bool, after: str
) -> None:
    run = Run(key="s/1", name="trial", parameters={"depth": 4})
    tracking.begin(run)
    tracking.end("s/1", Result(how=how))
    tracking.begin(run, again=again)
    assert run_of("trial").info.status == after


def test_more_parameters_than_mlflow_takes_at_a_time(tracking: Tracking, run_of: RunOf) -> None:
    tracking.begin(Run(key="a", name="many", parameters={f"p{n}": n for n in range(230)}))
    assert run_of("many").data.params == {f"p{n}": str(n) for n in range(230)}


def test_files_lie_beside_the_store_and_the_newer_replaces_the_older(
    tracking: Tracking, mlflow_client: Mlflow, run_of: RunOf, tmp_path: Path
) -> None:
    tracking.begin(Run(key="s", name="sweep"))
    tracking.files("s", {"report.html": "old", "plots/recall/progress.svg": "<svg/>"})
    tracking.files("s", {"report.html": "new"})
    run_id = run_of("sweep").info.run_id
    assert [file.path for file in mlflow_client.list_artifacts(run_id)] == ["plots", "report.html"]
    kept = tmp_path / "mlflow" / "mlflow-files" / run_id / "artifacts"
    assert (kept / "report.html").read_text() == "new"
    assert (kept / "plots" / "recall" / "progress.svg").read_text() == "<svg/>"


def test_a_bundle_has_one_version_and_aliases_move_and_go(tracking: Tracking, mlflow_client: Mlflow) -> None:
    tracking.begin(Run(key="b", name="bundle"))
    for bundle in ("aa", "bb", "aa"):
        tracking.register(Version(bundle=bundle, run="b", tags={"marquee.registry": "/here"}))

    def named(**aliases: str | None) -> dict[str, str]:
        tracking.name(aliases)
        found = mlflow_client.get_registered_model("marquee").aliases
        return {
            alias: mlflow_client.get_model_version("marquee", v).tags["marquee.bundle"]
            for alias, v in found.items()
        }

    assert len(mlflow_client.search_model_versions("name = 'marquee'")) == 2
    assert named(stable="aa", candidate="bb") == {"stable": "aa", "candidate": "bb"}
    assert named(stable="bb", candidate="bb") == {"stable": "bb", "candidate": "bb"}
    assert named(stable="bb", candidate=None) == {"stable": "bb"}
    assert named(stable="unknown") == {}


def test_without_any_version_there_is_nothing_to_name(tracking: Tracking, mlflow_client: Mlflow) -> None:
    tracking.name({"stable": "aa"})
    assert mlflow_client.search_registered_models() == []


def test_a_server_that_is_down_is_unavailable(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        tracking = open_tracking(f"http://127.0.0.1:{taken.getsockname()[1]}", tmp_path)
        with pytest.raises(UnavailableError, match="tracking is unavailable"):
            tracking.begin(Run(key="a", name="a"))


def test_a_place_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    (tmp_path / "file").touch()
    tracking = open_tracking(f"sqlite:///{tmp_path}/file/mlflow.db", tmp_path)
    with pytest.raises(UnavailableError, match=r"Not a directory|File exists"):
        tracking.begin(Run(key="a", name="a"))
