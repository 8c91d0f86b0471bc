import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recsys.cli import evaluate, train
from recsys.cli.data_source import data_source
from recsys.cli.drift_sources import events_of
from recsys.cli.lake import app
from recsys.core.errors import DataFormatError, FieldError, NotFoundError
from recsys.data.badrows import OnBadRow
from recsys.data.events import Event, EventKind
from recsys.data.schema import Dataset
from recsys.eventlog.entry import Erasure
from recsys.eventlog.exposure import Exposure, chunk_of, frame_of
from recsys.eventlog.exposure_files import write_exposures
from recsys.eventlog.writer import EventLogWriter
from recsys.lake.open import open_lake
from recsys.registry.local import LocalRegistry

pytest.importorskip("deltalake", reason="needs the extra lake")

TINY = {
    "knowledge": {"recall": {"sequential": {"min_events": 2, "rank": 4}, "svd": {"n_factors": 3}}},
    "cross_fit": {"n_folds": 2, "min_positions": 2, "max_positions": 2, "n_candidates": 10},
    "boosting": {"n_trees": 3, "max_depth": 2},
    "n_candidates": 15,
}


def said(*arguments: object) -> dict[str, object]:
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    assert isinstance(value, dict)
    return value


@pytest.fixture
def lake(tmp_path: Path, simulated_folder: Path) -> Path:
    """Return a lake with the small simulated world in it."""
    said("import", simulated_folder, "--lake", tmp_path / "lake")
    return tmp_path / "lake"


def test_a_data_set_comes_in_whole_and_once(lake: Path, simulated_folder: Path, simulated: Dataset) -> None:
    facts = said("show", "--lake", lake)
    assert set(facts) == {"events", "items"}
    loaded = data_source(lake).load(on_bad_row=OnBadRow.FAIL, now_s=0.0).dataset
    assert loaded.interactions.height == simulated.interactions.height
    columns = simulated.interactions.columns
    assert loaded.interactions.sort(columns).equals(simulated.interactions.sort(columns))
    assert loaded.items.equals(simulated.items.sort("item_id"))
    again = said("import", simulated_folder, "--lake", lake)
    assert again == {"events": 0, "items": 0, "exposures": 0, "erased": 0}


def test_an_event_log_comes_in_without_those_who_left(tmp_path: Path) -> None:
    with EventLogWriter(tmp_path / "log", "w") as log:
        for n, user in enumerate(["ada", "bob", "ada"]):
            event = Event(
                event_id=f"e{n}", user_id=user, kind=EventKind.LIKE, time_s=86_400.0 * n, item_id="heat"
            )
            log.append_durably([event])
        log.append_durably([Erasure(user_id="ada", at_s=86_400.0)])
    assert said("import", tmp_path / "log", "--lake", tmp_path / "lake")["events"] == 2
    assert said("import", tmp_path / "log", "--lake", tmp_path / "lake")["events"] == 0
    facts = said("show", "--lake", tmp_path / "lake")["events"]
    assert isinstance(facts, dict)
    assert {name: facts[name] for name in ("rows", "days", "from", "to")} == {
        "rows": 2,
        "days": 2,
        "from": "1970-01-02",
        "to": "1970-01-03",
    }


def test_exposures_come_in_once(tmp_path: Path) -> None:
    answer = Exposure(
        "r1", 5.0, None, "stable", "b" * 16, "recommend", None, 0, override=False, cached=False, degraded=[],
        item_ids=["a", "b"], scores=[2.0, 1.0], sources=["svd", "tags"], propensities=[1.0, 1.0],
    )  # fmt: skip
    frame = frame_of([chunk_of([answer, answer._replace(request_id="r2")])])
    write_exposures(tmp_path / "exposures", "w", 0, frame)
    arguments = ("import", tmp_path / "exposures", "--exposures", "--lake", tmp_path / "lake")
    assert [said(*arguments)["exposures"] for _ in range(2)] == [2, 0]
    rows = open_lake(tmp_path / "lake").read("exposures", frame.columns).sort("request_id")
    assert rows.equals(frame)


def test_compacting_and_vacuuming_say_what_they_did(lake: Path) -> None:
    compacted = said("compact", "--lake", lake)
    assert set(compacted) == {"events", "items"}
    assert said("vacuum", "--lake", lake) == {"events": 0, "items": 0}
    plain = CliRunner().invoke(app, ["show", "--lake", str(lake)])
    assert "events" in plain.stdout


def test_what_is_no_lake_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="looked for a lake"):
        said("show", "--lake", tmp_path / "nowhere")


def test_a_training_from_a_lake_can_be_repeated_after_more_came_in(
    lake: Path, tmp_path: Path, simulated: Dataset
) -> None:
    registry, config = tmp_path / "registry", tmp_path / "tiny.json"
    config.write_text(json.dumps(TINY))

    def trained(*more: str) -> dict[str, object]:
        arguments = ["--data", lake, "--registry", registry, "--config", config, "--no-gate", "--json", *more]
        result = CliRunner().invoke(train.app, list(map(str, arguments)), catch_exceptions=False)
        value = json.loads(result.stdout)
        assert isinstance(value, dict)
        return value

    first = trained()
    info = next(info for info in LocalRegistry(registry).list() if info.name == first["bundle"])
    assert info.manifest is not None
    versions = info.manifest.meta["lake"]
    assert versions == {"events": 1, "items": 1}
    new = [
        Event(event_id=f"n{item_id}", user_id=user_id, kind=EventKind.LIKE, time_s=2e9, item_id=item_id)
        for item_id in simulated.items["item_id"][:9]
        for user_id in ("new", "newer")
    ]
    with EventLogWriter(tmp_path / "log", "w") as log:
        log.append_durably(new)
    said("import", tmp_path / "log", "--lake", lake)
    said("compact", "--lake", lake)
    assert trained()["bundle"] != first["bundle"]
    again = trained("--again", "--lake-version", "events=1", "--lake-version", "items=1")
    assert (again["trained"], again["bundle"]) == (True, first["bundle"])


def test_a_version_that_cannot_be_is_refused_by_its_name(lake: Path, simulated_folder: Path) -> None:
    with pytest.raises(FieldError, match="events=1"):
        data_source(lake, ["events"])
    with pytest.raises(NotFoundError, match="evnts"):
        data_source(lake, ["evnts=1"])
    with pytest.raises(FieldError, match="no lake"):
        data_source(simulated_folder, ["events=1"])


def test_drift_is_judged_and_models_are_compared_on_a_lake(
    lake: Path, simulated: Dataset, tmp_path: Path
) -> None:
    assert events_of(lake, None, 0.0).height == simulated.interactions.height
    report = tmp_path / "report.json"
    arguments = ["--data", str(lake), "--models", "popularity", "--json", str(report)]
    result = CliRunner().invoke(evaluate.app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert json.loads(report.read_text())
