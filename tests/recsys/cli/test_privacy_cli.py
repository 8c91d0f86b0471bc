import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from recsys.cli.privacy import app
from recsys.core.clock import unix_clock
from recsys.core.errors import DataFormatError
from recsys.core.pseudonyms import Pseudonyms
from recsys.data.events import Event, EventKind
from recsys.eventlog.entry import Erasure
from recsys.eventlog.exposure import Exposure, chunk_of, frame_of
from recsys.eventlog.exposure_files import write_exposures
from recsys.eventlog.replay import replay
from recsys.eventlog.writer import EventLogWriter
from recsys.lake.open import open_lake
from recsys.state.sqlite import SqliteUserState

ADA = "ada.lovelace@example.org"


def watch(event_id: str, user_id: str, time_s: float) -> Event:
    return Event(event_id=event_id, user_id=user_id, kind=EventKind.WATCH, time_s=time_s, item_id="film")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home whose door hashes; ada watched two films, one of them by a clock that runs ahead."""
    monkeypatch.setenv("MARQUEE_HOME", str(tmp_path))
    for variable in ("MARQUEE_PRIVACY_KEY", "MARQUEE_EXPOSURES_KEY", "MARQUEE_REGISTRY"):
        monkeypatch.delenv(variable, raising=False)
    inside = Pseudonyms.of_file(tmp_path / "events.key").of(ADA)
    now_s = unix_clock()
    with EventLogWriter(tmp_path / "events", "w") as log:
        log.append_durably([watch("1", inside, now_s - 9.0), watch("2", inside, now_s + 200.0)])
        log.append_durably([watch("3", "somebody-else", now_s)])
    with SqliteUserState(tmp_path / "state.db") as state:
        replay(tmp_path / "events", state, on_damage=print)
    shown = Pseudonyms.of_file(tmp_path / "exposures.key").of(inside)
    answer = Exposure(
        "1", now_s, shown, "stable", "b" * 16, "recommend", None, 0, override=False, cached=False,
        degraded=[], item_ids=["a"], scores=[1.0], sources=["svd"], propensities=[1.0],
    )  # fmt: skip
    write_exposures(tmp_path / "exposures", "w", 0, frame_of([chunk_of([answer])]))
    return tmp_path


def run(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=given)


def test_a_person_is_erased_and_the_proof_says_where_and_how_much(home: Path) -> None:
    before = run("check", ADA)
    assert before.exit_code == 1
    assert [line.split(":")[0] for line in before.output.splitlines()] == [
        "event log",
        "user state",
        "exposures",
    ]
    done = run("erase", ADA, "--proof", str(home / "proof.json"), "--registry", str(home / "registry"))
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[:3] == [
        "event log: removed 2 events, 0 erasures, 0 damaged; nothing is left",
        "user state: removed 1 users; nothing is left",
        "exposures: removed 1 answers; nothing is left",
    ]
    proof = json.loads((home / "proof.json").read_text())
    assert (proof["complete"], proof["bundles"], proof["n_names"]) == (True, [], 4)
    assert run("check", ADA).output == "named nowhere\n"
    assert run("check", "somebody-else").exit_code == 1


def test_the_id_may_come_from_stdin_where_no_history_keeps_it(home: Path) -> None:
    assert run("erase", "-", "--proof", str(home / "proof.json"), given=f"{ADA}\n").exit_code == 0
    assert run("check", "-", given=f"{ADA}\n").exit_code == 0


def test_what_cannot_be_removed_is_told_and_the_exit_code_is_1(home: Path) -> None:
    (home / "events" / "notes.txt").write_text(f"called by {ADA}")
    done = run("erase", ADA, "--proof", str(home / "proof.json"))
    assert done.exit_code == 1
    assert "named 1 times in" in done.output
    assert json.loads((home / "proof.json").read_text())["complete"] is False


def test_what_delete_began_is_finished_from_the_log_alone_once_routers_hold_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = Pseudonyms.of_file(home / "events.key").of(ADA)
    at_s = unix_clock() + 300.0
    with EventLogWriter(home / "events", "router") as log:
        log.append_durably([Erasure(user_id=inside, at_s=at_s)])
    monkeypatch.setattr("recsys.cli.privacy.unix_clock", lambda: at_s + 59.0)
    assert run("finish").output == "0 names were left to be removed\n"
    assert run("check", ADA).exit_code == 1
    monkeypatch.setattr("recsys.cli.privacy.unix_clock", lambda: at_s + 61.0)
    done = run("finish")
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[0] == "1 names were left to be removed"
    assert run("check", ADA).output == "named nowhere\n"
    assert run("finish").output == "0 names were left to be removed\n"


def test_after_a_rotation_the_old_names_are_found_and_erased(home: Path) -> None:
    assert "2 keys" in run("rotate").output
    assert "2 keys" in run("rotate", str(home / "exposures.key")).output
    assert run("check", ADA).exit_code == 1
    assert run("erase", ADA, "--proof", str(home / "proof.json")).exit_code == 0


def test_without_the_key_of_the_exposures_nothing_is_begun(home: Path) -> None:
    (home / "exposures.key").unlink()
    failed = run("erase", ADA, "--proof", str(home / "proof.json"))
    assert isinstance(failed.exception, DataFormatError)
    assert "exposures.key" in str(failed.exception)
    assert not (home / "proof.json").exists()


def test_a_key_that_is_named_has_to_be_there(home: Path) -> None:
    failed = run("check", ADA, "--key", str(home / "none"))
    assert isinstance(failed.exception, DataFormatError)
    assert not (home / "none").exists()


def test_old_files_go_when_their_period_is_over(home: Path) -> None:
    kept = run("retention", "--events-days", "1", "--exposures-days", "1")
    assert kept.output.splitlines() == ["event log: 0 files removed", "exposures: 0 files removed"]
    assert [*(home / "events").glob("*.log")]


def test_the_lake_at_home_is_one_of_the_places_without_being_named(home: Path) -> None:
    pytest.importorskip("deltalake", reason="needs the extra lake")
    inside = Pseudonyms.of_file(home / "events.key").of(ADA)
    lake = open_lake(home / "lake", make=True)
    lake.events.append([watch("1", inside, 9.0), watch("2", "somebody-else", 9.0)], source="s", upto=2)
    assert "lake: named" in run("check", ADA).output
    done = run("erase", ADA, "--proof", str(home / "proof.json"))
    assert "lake: removed 1 events, 0 exposures" in done.output
    assert run("check", ADA).output == "named nowhere\n"
    assert lake.read("events")["user_id"].to_list() == ["somebody-else"]
