import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recsys.cli.exposures import app
from recsys.core.errors import DataFormatError
from recsys.core.pseudonyms import Pseudonyms
from recsys.eventlog.entry import Erasure
from recsys.eventlog.exposure import Exposure, chunk_of, frame_of
from recsys.eventlog.exposure_files import write_exposures
from recsys.eventlog.exposure_reader import scan_exposures
from recsys.eventlog.writer import EventLogWriter

LATE_S = 4e9  # the year 2096: within the last hours whenever this runs


def exposure(
    request_id: str, served_at_s: float, who: str | None, *, cached: bool = False, explored: int | None = None
) -> Exposure:
    return Exposure(
        request_id, served_at_s, who, "stable", "b" * 16, "recommend", None, 0,
        override=False, cached=cached, degraded=[] if who else ["ranking: deadline"],
        item_ids=["a", "b"], scores=[2.0, 1.0], sources=["svd", "tags"], propensities=[1.0, 1.0],
        explored_rank=explored,
    )  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home with three answers: two to ada, one of them cached, and one degraded to nobody."""
    ada = Pseudonyms.of_file(tmp_path / "exposures.key").of("ada")
    answers = [
        exposure("1", LATE_S, ada, explored=2),
        exposure("2", LATE_S + 1, ada, cached=True),
        exposure("3", LATE_S + 2, None),
    ]
    write_exposures(tmp_path / "exposures", "w", 0, frame_of([chunk_of(answers)]))
    return tmp_path


def said(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_show_counts_answers_items_and_users(home: Path) -> None:
    folder = str(home / "exposures")
    summary = json.loads(said("show", "--folder", folder, "--json"))
    assert {
        name: summary[name] for name in ("answers", "items", "users", "cached", "degraded", "explored")
    } == {
        "answers": 3,
        "items": 6,
        "users": 1,
        "cached": 1,
        "degraded": 1,
        "explored": 1,
    }
    assert summary["by"]["source"] == {"svd": 3, "tags": 3}
    assert summary["by"]["arm"] == {"stable": 3}
    assert "answers by arm" in said("show", "--folder", folder)


def test_tail_prints_the_latest_answers_oldest_first(home: Path) -> None:
    folder = str(home / "exposures")
    rows = [json.loads(line) for line in said("tail", "-n", "2", "--folder", folder, "--json").splitlines()]
    assert [row["request_id"] for row in rows] == ["2", "3"]
    last = said("tail", "-n", "1", "--folder", folder)
    assert last == "4000000002.000 stable bbbbbbbb to nobody: a b without ranking: deadline\n"


def test_tail_goes_on_with_what_is_new_until_interrupted(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    polls: list[float] = []

    def sleep(seconds: float) -> None:
        polls.append(seconds)
        if len(polls) == 3:
            raise KeyboardInterrupt
        new = frame_of([chunk_of([exposure(f"new{len(polls)}", LATE_S + 9, None)])])
        write_exposures(home / "exposures", "w", len(polls), new)

    monkeypatch.setattr("recsys.cli.exposures.time.sleep", sleep)
    lines = said("tail", "-n", "1", "--follow", "--folder", str(home / "exposures"), "--json").splitlines()
    assert [json.loads(line)["request_id"] for line in lines] == ["3", "new1", "new2"]


def test_forget_removes_what_was_shown_to_those_who_asked(home: Path) -> None:
    with EventLogWriter(home / "events", "w") as log:
        log.append_durably([Erasure(user_id="ada", at_s=LATE_S)])
    arguments = ["forget", "--folder", str(home / "exposures"), "--events", str(home / "events"), "--json"]
    assert json.loads(said(*arguments)) == {"users": 1, "answers": 1}
    assert sorted(scan_exposures(home / "exposures").collect()["request_id"]) == ["2", "3"]
    assert json.loads(said(*arguments)) == {"users": 1, "answers": 0}


def test_without_the_key_nobody_is_forgotten_and_no_other_key_is_made(home: Path) -> None:
    (home / "exposures.key").unlink()
    result = CliRunner().invoke(app, ["forget", "--folder", str(home / "exposures")])
    assert isinstance(result.exception, DataFormatError)
    assert not (home / "exposures.key").exists()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["show", "--folder", str(tmp_path / "none")])
    assert isinstance(result.exception, DataFormatError)
    assert "none: looked for a folder of exposures" in str(result.exception)
