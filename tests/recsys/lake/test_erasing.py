import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

pytest.importorskip("deltalake", reason="needs the extra lake")

from recsys.core.errors import DataFormatError
from recsys.data.events import Event, EventKind
from recsys.eventlog.exposure import Exposure
from recsys.lake.lake import Erased, Lake
from recsys.lake.layout import LakeConfig

DAY_S = 86_400.0
ADA, PSEUDONYM = "ada-of-the-long-name", "5eed5eed5eed5eed"
PLAIN = LakeConfig(compression="UNCOMPRESSED")  # a search of the bytes must be able to find it


def liked(event_id: str, user_id: str, time_s: float) -> Event:
    return Event(event_id=event_id, user_id=user_id, kind=EventKind.LIKE, time_s=time_s, item_id="heat")


def served(request_id: str, pseudonym: str | None, time_s: float) -> Exposure:
    return Exposure(
        request_id, time_s, pseudonym, "stable", "b" * 16, "recommend", None, 0,
        override=False, cached=False, degraded=[], item_ids=["heat"], scores=[1.0], sources=["svd"],
        propensities=[1.0],
    )  # fmt: skip


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Return a lake where ada did something on three days, on one of them alone; and bob and eve."""
    lake = Lake(tmp_path / "lake", PLAIN)
    for n, (user, day) in enumerate([(ADA, 1), ("bob", 1), (ADA, 2), ("mallory", 3), (ADA, 3), ("bob", 3)]):
        lake.events.append([liked(f"e{n}", user, day * DAY_S)], source="log", upto=n + 1)
    answers = [served("r1", PSEUDONYM, DAY_S), served("r2", "bobs", DAY_S), served("r3", None, DAY_S)]
    lake.exposures.append(answers, source="log", upto=3)
    return lake


def files_with(root: Path, word: str) -> Iterator[Path]:
    """Yield the files that hold a word in their bytes or, if they are tables, in any of their values."""
    for path in root.rglob("*"):
        if not path.is_file():
            continue
        said = path.read_bytes()
        if path.suffix == ".parquet":
            said += str(pl.read_parquet(path, hive_partitioning=False).to_dicts()).encode()
        if word.encode() in said:
            yield path


def test_who_left_is_in_no_byte_of_any_file_and_the_others_are(lake: Lake) -> None:
    lake.compact()  # older versions hold them too
    assert len(list(files_with(lake.root, ADA))) == 6 - 3 + 2  # three small files, two that were put together
    assert list(files_with(lake.root, PSEUDONYM))
    erased = lake.erase(ADA, 10 * DAY_S, pseudonym=PSEUDONYM)
    assert (erased.n_events, erased.n_exposures) == (3, 1)
    assert list(files_with(lake.root, ADA)) == []
    assert list(files_with(lake.root, PSEUDONYM)) == []
    assert sorted(lake.read("events")["event_id"]) == ["e1", "e3", "e5"]
    assert sorted(lake.read("exposures")["request_id"]) == ["r2", "r3"]
    assert lake.dataset().interactions["user_id"].to_list() == ["bob", "mallory", "bob"]


def test_what_a_killed_writer_left_behind_goes_too(lake: Lake) -> None:
    (found, *_) = files_with(lake.root / "events", ADA)
    shutil.copy(found, found.with_name("part-of-a-batch-that-was-never-committed.parquet"))
    lake.erase(ADA, 10 * DAY_S, pseudonym=PSEUDONYM)
    assert list(files_with(lake.root, ADA)) == []


def test_checkpoints_and_positions_outlive_an_erasure(lake: Lake) -> None:
    lake.erase(ADA, 10 * DAY_S)
    lake.erase("mallory", 10 * DAY_S)
    again = Lake(lake.root, PLAIN)
    assert again.events.taken("log") == 6
    assert again.events.append([liked("e9", "bob", DAY_S)], source="log", upto=7) == 1
    assert list(files_with(lake.root, "mallory")) == []


def test_what_comes_later_than_the_erasure_stays_and_what_is_delivered_late_does_not_come_back(
    lake: Lake,
) -> None:
    assert lake.erase(ADA, 2 * DAY_S).n_events == 2
    late = [liked("old", ADA, 2 * DAY_S), liked("new", ADA, 2 * DAY_S + 1), liked("bobs", "bob", 1.0)]
    assert Lake(lake.root).events.append(late, source="log", upto=9) == 2
    theirs = lake.read("events").filter(user_id=ADA)
    assert sorted(theirs["event_id"]) == ["e4", "new"]


def test_an_erasure_that_was_cut_off_is_honoured_by_every_reading_and_finished_by_the_next(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(lake, "_remove", killed)
        with pytest.raises(KeyboardInterrupt):
            lake.erase(ADA, 10 * DAY_S)
    assert ADA in lake.read("events")["user_id"].to_list()
    assert ADA not in lake.dataset().interactions["user_id"].to_list()
    assert lake.erase(ADA, 10 * DAY_S).n_events == 3
    assert list(files_with(lake.root, ADA)) == []


def test_a_version_that_held_them_cannot_be_read_any_more_and_says_so(lake: Lake) -> None:
    before = lake.versions()
    lake.erase(ADA, 10 * DAY_S)
    with pytest.raises(DataFormatError, match="somebody was erased"):
        lake.dataset(before)


def test_somebody_unknown_is_remembered_all_the_same(lake: Lake) -> None:
    assert lake.erase("zoe", DAY_S) == Erased(n_events=0, n_exposures=0, n_files=0)
    assert lake.events.append([liked("z1", "zoe", DAY_S)], source="log", upto=9) == 0
    assert list(files_with(lake.root, "zoe")) == []
