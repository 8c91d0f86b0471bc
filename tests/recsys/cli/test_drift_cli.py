"""The commands against a bundle trained on a small world, whose later days are played again as drift."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from recsys.cli.drift import app
from recsys.core.errors import DataFormatError, FieldError, NotFoundError
from recsys.data.events import Event, EventKind
from recsys.data.folder import save_dataset
from recsys.data.formats import load_dataset
from recsys.data.schema import Dataset
from recsys.drift.fit import ProfileConfig, fit_profile
from recsys.drift.journal import Journal
from recsys.drift.profile import save_profile
from recsys.drift.served import served_lists, with_served
from recsys.eventlog.exposure import Exposure, chunk_of, frame_of
from recsys.eventlog.exposure_files import write_exposures
from recsys.eventlog.writer import EventLogWriter
from recsys.lake.open import open_lake
from recsys.registry.bundle import BundleWriter
from recsys.registry.local import LocalRegistry

DAY_S = 86_400.0
N_DAYS, N_USERS = 40, 60


def interactions(days: range, *, tag: str | None = None) -> pl.DataFrame:
    """Sixty users a day, each watches two of twenty items; ``tag`` names those that all of them want."""
    rows = []
    for day in days:
        for user in range(N_USERS):
            for choice in (0, 1):
                item = (7 * user + 13 * day + 5 * choice) % 20
                rows.append(
                    {
                        "user_id": f"u{user}",
                        "item_id": f"i{item if tag is None else 2 * (item // 2) + (tag == 'odd')}",
                        "kind": "watch",
                        "time_s": day * DAY_S + 1_400.0 * user + choice,
                        "value": ((user * day + choice) % 10) / 10,
                        "context": "home",
                    }
                )
    return pl.DataFrame(rows)


@pytest.fixture(scope="module")
def items() -> pl.DataFrame:
    ids = [f"i{row}" for row in range(20)]
    tags = [["odd" if row % 2 else "even"] for row in range(20)]
    return pl.DataFrame({"item_id": ids, "tags": tags, "available": True, "published_s": 0.0})


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, items: pl.DataFrame) -> Path:
    profiled = fit_profile(Dataset("w", interactions(range(N_DAYS)), items), ProfileConfig(), seed=0)
    assert profiled is not None
    lists = served(range(39, 40))

    def fill(writer: BundleWriter) -> None:
        profile = with_served(profiled, lists, items, seed=0)
        save_profile(writer, profile, profiled.ranks)
        items.write_parquet(writer.path("catalogue/items.parquet"))

    root = tmp_path_factory.mktemp("registry")
    made = LocalRegistry(root)
    name = made.publish(fill, feature_schema="f", created_s=0.0, meta={}).name
    made.promote(name, "stable", expected=None, by="ada", now_s=0.0)
    return root


def served(days: range, *, shift: float = 0.0) -> pl.DataFrame:
    rows = [
        {
            "user_id": f"u{user}",
            "time_s": day * DAY_S + user,
            "item_id": f"i{(3 * user + position) % 20}",
            "position": position,
            "score": 1.0 / position + (user % 7) / 10 + shift,
        }
        for day in days
        for user in range(N_USERS)
        for position in range(1, 6)
    ]
    return pl.DataFrame(rows, schema_overrides={"position": pl.Int32()})


def call(registry: Path, *arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments), "--registry", str(registry)])


def found(registry: Path, *arguments: str | Path, code: int) -> dict[str, list[dict[str, object]]]:
    result = call(registry, "check", *arguments, "--json")
    assert result.exit_code == code, result.output
    answer: dict[str, list[dict[str, object]]] = json.loads(result.stdout)
    return answer


@pytest.fixture
def shifted(tmp_path: Path, items: pl.DataFrame) -> Path:
    later = pl.concat([interactions(range(N_DAYS, 43)), interactions(range(43, 46), tag="odd")])
    before = interactions(range(N_DAYS))
    save_dataset(Dataset("later", pl.concat([before, later]), items), tmp_path / "data")
    return tmp_path / "data"


def moved(answer: dict[str, list[dict[str, object]]]) -> dict[int, list[str]]:
    said = {}
    for window in answer["windows"]:
        features = window["features"]
        assert isinstance(features, Sequence)
        said[int(str(window["window"]))] = [one["feature"] for one in features if one["over"]]
    return said


def test_a_profile_is_shown_for_people_and_for_machines(registry: Path) -> None:
    people = call(registry, "profile", "stable")
    assert people.exit_code == 0
    assert "drift profile of bundle" in people.stdout
    machines = json.loads(call(registry, "profile", "stable", "--json").stdout)
    assert (machines["version"], machines["n_windows"], machines["users_per_window"]) == (1, 24, 60.0)


def test_a_check_says_which_days_moved_and_exits_with_one(registry: Path, shifted: Path) -> None:
    said = moved(found(registry, "--data", shifted, "--window", "1d", code=1))
    assert [said[day] for day in (40, 41, 42)] == [[], [], []]
    assert all("tag" in said[day] for day in (43, 44, 45))


def test_a_check_of_days_without_drift_exits_with_zero(registry: Path, shifted: Path) -> None:
    assert len(moved(found(registry, "--data", shifted, "--until", "1970-02-13", code=0))) == 3
    people = call(registry, "check", "--data", shifted, "--until", "1970-02-13")
    assert "3 windows, 0 moved" in people.stdout


def test_what_was_served_is_checked_too(registry: Path, shifted: Path, tmp_path: Path) -> None:
    bundle = LocalRegistry(registry).resolve("stable")
    lists = served(range(40, 42), shift=5.0)
    exposures = [
        Exposure(
            request_id=f"r{user_id}",
            served_at_s=time_s,
            user_pseudonym=user_id,
            arm="stable",
            bundle=bundle,
            call="recommend",
            context=None,
            n_shown_before=0,
            override=False,
            cached=False,
            degraded=(),
            item_ids=item_ids,
            scores=scores,
            sources=["svd"] * len(item_ids),
            propensities=[1.0] * len(item_ids),
        )
        for user_id, time_s, item_ids, scores in lists.group_by("user_id", "time_s", maintain_order=True)
        .agg("item_id", "score")
        .iter_rows()
    ]
    folder = tmp_path / "exposures"
    write_exposures(folder, "w", 1, frame_of([chunk_of(exposures)]))
    assert served_lists(folder, "another").is_empty()
    said = moved(found(registry, "--data", shifted, "--until", "1970-02-13", "--exposures", folder, code=1))
    assert [said[day] for day in (40, 41, 42)] == [["top_score"], ["top_score"], []]


def test_the_page_stands_alone_and_names_what_moved(registry: Path, shifted: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra plots is not installed")
    page = tmp_path / "out" / "drift.html"
    assert call(registry, "check", "--data", shifted, "--html", page).exit_code == 1
    text = page.read_text()
    assert "3 of 6 windows have moved" in text
    assert "odd 50.0% → 100.0%" in text
    assert text.count("<svg") >= 5
    assert "<script" not in text


def test_windows_of_another_length_are_refused(registry: Path, shifted: Path) -> None:
    result = call(registry, "check", "--data", shifted, "--window", "6h")
    assert isinstance(result.exception, FieldError)
    assert "24h" in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("check",), FieldError),
        (("check", "--data", "d", "--log", "l"), FieldError),
        (("check", "--log", "/nowhere"), DataFormatError),
        (("profile", "unheard-of"), NotFoundError),
        (("watch", "--events", "/nowhere", "--every", "soon"), FieldError),
        (("watch", "--policy", "/nowhere"), DataFormatError),
    ],
)
def test_bad_questions_are_refused_by_name(
    registry: Path, arguments: tuple[str, ...], error: type[Exception]
) -> None:
    assert isinstance(call(registry, *arguments).exception, error)


def test_data_without_a_whole_window_are_refused(registry: Path, shifted: Path) -> None:
    result = call(registry, "check", "--data", shifted, "--since", "1970-02-15T23:00")
    assert "a whole window of them" in str(result.exception)


def test_a_watcher_reads_the_log_raises_one_alarm_and_retrains_once(registry: Path, tmp_path: Path) -> None:
    later = pl.concat([interactions(range(40, 43)), interactions(range(43, 47), tag="odd")])
    log, kept, note = tmp_path / "events", tmp_path / "drift", tmp_path / "retrained.txt"
    with EventLogWriter(log, "w") as writer:
        writer.append_durably(
            [
                Event(event_id=f"e{number}", **{**row, "kind": EventKind(row["kind"])})
                for number, row in enumerate(later.iter_rows(named=True))
            ]
        )
    script = f"import os; open({str(note)!r}, 'a').write(os.environ['MARQUEE_DRIFT_ALARM'] + chr(10))"
    wanted = ("--events", log, "--state", kept, "--once", "--retrain", f'{sys.executable} -c "{script}"')
    first, second = (call(registry, "watch", *wanted) for _ in range(2))
    assert first.exit_code == second.exit_code == 0, first.output
    assert "retrain: tag" in first.stdout
    assert second.stdout == ""
    bundle = LocalRegistry(registry).resolve("stable")
    assert note.read_text() == f"{bundle}-44\n"
    memory = Journal(kept).read()
    assert (memory.n_windows, memory.n_alarms, memory.standing.judged_until_s) == (7, 1, 47 * DAY_S)
    assert "marquee_drift_alarms_total 1" in (kept / "metrics.prom").read_text()


def test_a_watcher_reads_a_lake_as_it_does_a_log(registry: Path, shifted: Path, tmp_path: Path) -> None:
    pytest.importorskip("deltalake", reason="the extra lake is not installed")
    from recsys.lake.importing import import_dataset

    dataset = load_dataset(shifted, now_s=2e9).dataset
    import_dataset(open_lake(tmp_path / "lake", make=True), dataset)
    result = call(registry, "watch", "--data", tmp_path / "lake", "--state", tmp_path / "drift", "--once")
    assert result.exit_code == 0, result.output
    assert "retrain: tag" in result.stdout
