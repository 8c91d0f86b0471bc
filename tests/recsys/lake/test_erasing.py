from collections.abc import Callable, Iterator

import polars as pl
import pytest

pytest.importorskip("deltalake", reason="needs the extra lake")

from recsys.core.errors import DataFormatError
from recsys.data.events import Event, EventKind
from recsys.eventlog.exposure import Exposure
from recsys.lake.lake import Erased, Lake
from recsys.lake.layout import LakeConfig
from recsys.lake.place import place_of

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


in_a_folder = pytest.mark.parametrize("root", ["folder"], indirect=True)


@pytest.fixture
def lake(root: str) -> Lake:
    """Return a lake where ada did something on three days, on one of them alone; and bob and eve."""
    lake = Lake(root, PLAIN)
    for n, (user, day) in enumerate([(ADA, 1), ("bob", 1), (ADA, 2), ("mallory", 3), (ADA, 3), ("bob", 3)]):
        lake.events.append([liked(f"e{n}", user, day * DAY_S)], source="log", upto=n + 1)
    answers = [served("r1", PSEUDONYM, DAY_S), served("r2", "bobs", DAY_S), served("r3", None, DAY_S)]
    lake.exposures.append(answers, source="log", upto=3)
    return lake


def files_with(root: str, word: str) -> Iterator[str]:
    """Yield the files that hold a word in their bytes or, if they are tables, in any of their values."""
    for address, copy in place_of(root).copies():
        said = copy.read_bytes()
        if copy.suffix == ".parquet":
            said += str(pl.read_parquet(copy, hive_partitioning=False).to_dicts()).encode()
        if word.encode() in said:
            yield address


def test_who_left_is_in_no_byte_of_any_file_and_the_others_are(root: str, lake: Lake) -> None:
    lake.compact()  # older versions hold them too
    assert len(list(files_with(root, ADA))) == 6 - 3 + 2  # three small files, two that were put together
    assert list(files_with(root, PSEUDONYM))
    erased = lake.erase(ADA, 10 * DAY_S, pseudonym=PSEUDONYM)
    assert (erased.n_events, erased.n_exposures) == (3, 1)
    assert list(files_with(root, ADA)) == []
    assert list(files_with(root, PSEUDONYM)) == []
    assert sorted(lake.read("events")["event_id"]) == ["e1", "e3", "e5"]
    assert sorted(lake.read("exposures")["request_id"]) == ["r2", "r3"]
    assert lake.dataset().interactions["user_id"].to_list() == ["bob", "mallory", "bob"]


def test_what_a_killed_writer_left_behind_goes_too(
    root: str, lake: Lake, put: Callable[[str, bytes], None]
) -> None:
    found = next(files_with(f"{root}/events", ADA))
    (theirs,) = (copy.read_bytes() for address, copy in lake.place.copies() if address == found)
    put(f"{found.rpartition('/')[0]}/part-of-a-batch-that-was-never-committed.parquet", theirs)
    lake.erase(ADA, 10 * DAY_S, pseudonym=PSEUDONYM)
    assert list(files_with(root, ADA)) == []


@in_a_folder
def test_checkpoints_and_positions_outlive_an_erasure(root: str, lake: Lake) -> None:
    lake.erase(ADA, 10 * DAY_S)
    lake.erase("mallory", 10 * DAY_S)
    again = Lake(root, PLAIN)
    assert again.events.taken("log") == 6
    assert again.events.append([liked("e9", "bob", DAY_S)], source="log", upto=7) == 1
    assert list(files_with(root, "mallory")) == []


@in_a_folder
def test_what_comes_later_than_the_erasure_stays_and_what_is_delivered_late_does_not_come_back(
    root: str,
    lake: Lake,
) -> None:
    assert lake.erase(ADA, 2 * DAY_S).n_events == 2
    late = [liked("old", ADA, 2 * DAY_S), liked("new", ADA, 2 * DAY_S + 1), liked("bobs", "bob", 1.0)]
    assert Lake(root).events.append(late, source="log", upto=9) == 2
    theirs = lake.read("events").filter(user_id=ADA)
    assert sorted(theirs["event_id"]) == ["e4", "new"]


@in_a_folder
def test_an_erasure_that_was_cut_off_is_honoured_by_every_reading_and_finished_by_the_next(
    root: str, lake: Lake, monkeypatch: pytest.MonkeyPatch
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
    assert list(files_with(root, ADA)) == []


@in_a_folder
def test_a_version_that_held_them_cannot_be_read_any_more_and_says_so(root: str, lake: Lake) -> None:
    before = lake.versions()
    lake.erase(ADA, 10 * DAY_S)
    with pytest.raises(DataFormatError, match="somebody was erased"):
        lake.dataset(before)


@in_a_folder
def test_somebody_unknown_is_remembered_all_the_same(root: str, lake: Lake) -> None:
    assert lake.erase("zoe", DAY_S) == Erased(n_events=0, n_exposures=0, n_files=0)
    assert lake.events.append([liked("z1", "zoe", DAY_S)], source="log", upto=9) == 0
    assert list(files_with(root, "zoe")) == []
