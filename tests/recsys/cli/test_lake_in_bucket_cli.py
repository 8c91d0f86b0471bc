"""Wherever a command names a lake, it may lie in a bucket."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

pytest.importorskip("deltalake", reason="needs the extra lake")
pytest.importorskip("obstore", reason="needs the extra objects")

from deployments.cli import ingest
from recsys.cli import data, lake, privacy, retrain, train
from recsys.cli.drift_sources import events_of, events_since
from recsys.core.errors import DataFormatError
from recsys.data.events import Event, EventKind
from recsys.data.folder import save_dataset
from recsys.data.formats import load_dataset
from recsys.data.schema import Dataset
from recsys.eventlog.writer import EventLogWriter
from recsys.lake.open import open_lake

ADA = "ada.lovelace@example.org"
TINY = {
    "knowledge": {"recall": {"sequential": {"min_events": 2, "rank": 4}, "svd": {"n_factors": 3}}},
    "cross_fit": {"n_folds": 2, "min_positions": 2, "max_positions": 2, "n_candidates": 10},
    "boosting": {"n_trees": 3, "max_depth": 2},
    "n_candidates": 15,
}


def said(app: typer.Typer, *arguments: object, exit_code: int = 0) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return result.output


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MARQUEE_HOME", str(tmp_path))
    for variable in ("MARQUEE_PRIVACY_KEY", "MARQUEE_EXPOSURES_KEY", "MARQUEE_REGISTRY"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def test_models_are_trained_on_it_and_it_is_kept_tidy(
    home: Path, simulated: Dataset, bucket_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = simulated.interactions.sort("user_id").head(900)
    two_days = rows.with_columns(time_s=rows["time_s"] % 172_800.0 + 1e9)
    save_dataset(Dataset("small", two_days, simulated.items), home / "data")
    root = f"{bucket_address}/lake"
    monkeypatch.setenv("MARQUEE_LAKE", root)
    assert said(lake.app, "import", home / "data").startswith(f"{root}: new: 900 events, 60 items")
    (home / "tiny.json").write_text(json.dumps(TINY))
    settings = ["--data", root, "--config", home / "tiny.json", "--no-gate", "--json"]
    trained = json.loads(said(train.app, *settings, "--channel", "stable"))
    again = json.loads(said(retrain.app, *settings))
    assert again == {"bundle": trained["bundle"], "refreshed": False}  # for nothing has come in
    late = Event(event_id="late", user_id="new", kind=EventKind.LIKE, time_s=1.0002e9, item_id="film")
    open_lake(root).events.append([late], source="log", upto=1)
    assert events_of(root, None, 0.0).height == 901
    assert events_since(root, Path())(1.0002e9).height == 1
    assert "became" in said(lake.app, "compact")
    assert "files deleted" in said(lake.app, "vacuum", "--keep-days", 0)
    assert json.loads(said(lake.app, "show", "--json"))["events"]["rows"] == 901
    said(data.app, "convert", root, "--out", home / "converted")
    assert load_dataset(home / "converted", now_s=2e9).dataset.interactions.height == 901


def test_what_is_no_lake_is_named(bucket_address: str) -> None:
    for app, *arguments in ((train.app, "--data"), (lake.app, "show", "--lake")):
        with pytest.raises(DataFormatError, match=f"{bucket_address}.*looked for a lake"):
            said(app, *arguments, bucket_address)


def test_ingest_fills_it_and_a_person_leaves_it(home: Path, bucket_address: str) -> None:
    with EventLogWriter(home / "events", "w") as log:
        log.append_durably(
            [
                Event(event_id=user[:3], user_id=user, kind=EventKind.WATCH, time_s=1.0, item_id="film")
                for user in (ADA, "somebody-else")
            ]
        )
    root = f"{bucket_address}/lake"
    for landed in (2, 0):
        told = said(
            ingest.app, "--lake", root, "--once", "--json", "--batch-seconds", 0.01, "--metrics-port", 0
        )
        figures = next(line for line in told.splitlines() if line.startswith("{"))
        assert json.loads(figures)["landed"] == landed
    assert f"times in {root}/events/day=1970-01-01/" in said(
        privacy.app, "check", ADA, "--lake", root, exit_code=1
    )
    done = said(privacy.app, "erase", ADA, "--lake", root, "--proof", home / "proof.json")
    assert "lake: removed 1 events, 0 exposures, 1 files; nothing is left" in done
    said(privacy.app, "check", ADA, "--lake", root)
    assert open_lake(root).read("events")["user_id"].to_list() == ["somebody-else"]
