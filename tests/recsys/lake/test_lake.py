import multiprocessing
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

pytest.importorskip("deltalake", reason="needs the extra lake")

from recsys.core.errors import DataFormatError, FieldError, NotFoundError, UnavailableError
from recsys.data.events import Event, EventKind
from recsys.lake.lake import Lake
from recsys.lake.layout import LakeConfig

DAY_S = 86_400.0


def liked(event_id: str, user_id: str = "ada", *, time_s: float = DAY_S, item_id: str = "heat") -> Event:
    return Event(event_id=event_id, user_id=user_id, kind=EventKind.LIKE, time_s=time_s, item_id=item_id)


def ids(lake: Lake) -> list[str]:
    return sorted(lake.read("events")["event_id"].to_list())


def test_a_batch_and_the_position_of_its_source_are_there_together(root: str) -> None:
    lake = Lake(root)
    assert lake.events.taken("topic-0") == 0
    assert lake.events.append([liked("e1"), liked("e2")], source="topic-0", upto=2) == 2
    assert lake.events.append([liked("e3", "bob")], source="topic-1", upto=7) == 1
    again = Lake(root)
    assert ids(again) == ["e1", "e2", "e3"]
    assert [again.events.taken(source) for source in ("topic-0", "topic-1", "topic-2")] == [2, 7, 0]


def test_a_batch_that_was_committed_before_changes_nothing(root: str) -> None:
    lake = Lake(root)
    lake.events.append([liked("e1")], source="log", upto=1)
    before = lake.versions()
    assert lake.events.append([liked("e1")], source="log", upto=1) == 0
    assert Lake(root).events.append([liked("e1")], source="log", upto=1) == 0
    assert lake.versions() == before


def test_a_batch_that_overlaps_the_one_before_adds_only_what_is_new(root: str) -> None:
    lake = Lake(root)
    lake.events.append([liked("e1"), liked("e2")], source="log", upto=2)
    assert Lake(root).events.append([liked("e2"), liked("e3")], source="log", upto=3) == 1
    assert ids(lake) == ["e1", "e2", "e3"]


def test_an_event_sent_twice_counts_once_within_a_batch_and_against_the_table(root: str) -> None:
    lake = Lake(root)
    assert lake.events.append([liked("e1"), liked("e1", item_id="ran")], source="a", upto=2) == 1
    late = liked("e1", time_s=40 * DAY_S)  # another day: still the same event
    assert lake.events.append([late], source="b", upto=1) == 0
    assert lake.events.append([liked("e1", "bob")], source="b", upto=2) == 1  # ids are each user's own
    assert lake.read("events")["item_id"].to_list() == ["heat", "heat"]


def test_a_batch_of_nothing_new_still_moves_the_position(root: str) -> None:
    lake = Lake(root)
    lake.events.append([liked("e1")], source="log", upto=1)
    assert lake.events.append([liked("e1")], source="log", upto=2) == 0
    assert lake.events.append([], source="log", upto=3) == 0
    assert lake.events.taken("log") == 3


def test_a_position_that_says_nothing_was_read_is_refused(root: str) -> None:
    with pytest.raises(FieldError, match="upto: got 0"):
        Lake(root).events.append([liked("e1")], source="log", upto=0)


def test_all_fields_of_an_event_come_back(root: str) -> None:
    lake = Lake(root)
    event = Event(
        event_id="e1", user_id="ada", kind=EventKind.WATCH, time_s=1.5 * DAY_S, item_id="heat", value=0.25,
        context="tv", request_id="r1",
    )  # fmt: skip
    lake.events.append([event], source="log", upto=1)
    (row,) = lake.read("events").to_dicts()
    assert str(row.pop("day")) == "1970-01-02"
    assert row == {
        "event_id": "e1", "user_id": "ada", "kind": "watch", "time_s": 129_600.0, "item_id": "heat",
        "value": 0.25, "context": "tv", "retracts": None, "request_id": "r1",
    }  # fmt: skip


def test_hostile_times_make_no_more_partitions_than_allowed(root: str) -> None:
    lake = Lake(root, LakeConfig(max_days_per_batch=2))
    times_s = [DAY_S * day for day in (1, 1, 1, 2, 2, 3, 4, 5)] + [-1.0, 1e300, float("inf")]
    events = [liked(f"e{n:02}", time_s=time_s) for n, time_s in enumerate(times_s)]
    assert lake.events.append(events, source="log", upto=len(events)) == 11
    rows = lake.read("events").sort("event_id")
    assert [str(day) for day in rows["day"]] == ["1970-01-02"] * 3 + ["1970-01-03"] * 2 + ["None"] * 6
    assert rows["time_s"].to_list() == times_s
    assert lake.files("events")["day"].n_unique() == 3


def test_what_was_taken_back_is_not_learned_from_whichever_came_first(root: str) -> None:
    lake = Lake(root)
    back = Event(event_id="r1", user_id="ada", kind=EventKind.RETRACTION, time_s=1.0, retracts="e1")
    lake.events.append([back, liked("e1"), liked("e1", "bob"), liked("e2")], source="log", upto=4)
    interactions = lake.dataset().interactions
    assert interactions.select("user_id", "item_id").rows() == [("bob", "heat"), ("ada", "heat")]


def test_a_version_gives_the_same_data_set_after_more_came_and_after_compaction(
    root: str,
) -> None:
    lake = Lake(root)
    for n in range(5):
        lake.events.append([liked(f"e{n}", time_s=DAY_S + n % 2, item_id=f"i{n}")], source="log", upto=n + 1)
    then, versions = lake.dataset(), lake.versions()
    lake.events.append([liked("late", item_id="late")], source="log", upto=6)
    assert lake.compact()["events"] == {"removed": 6, "added": 1}
    assert lake.dataset().interactions.height == 6
    again = lake.dataset(versions)
    assert again.interactions.equals(then.interactions)
    assert again.items.equals(then.items)
    assert again.interactions["item_id"].to_list() == ["i0", "i2", "i4", "i1", "i3"]


def test_items_are_as_they_were_at_the_moment_asked_for(root: str) -> None:
    lake = Lake(root)
    lake.events.append([liked("e1", time_s=5.0), liked("e2", time_s=25.0)], source="log", upto=2)
    states: list[dict[str, object]] = [
        {"item_id": "heat", "title": "Heat", "tags": ["crime"], "available": True, "since_s": 0.0},
        {"item_id": "ran", "title": "Ran", "since_s": 20.0},
        {"item_id": "heat", "title": "Heat (1995)", "tags": ["crime", "noir"], "since_s": 20.0},
    ]
    lake.items.append(states, source="catalogue", upto=3)
    before = lake.dataset(until_s=10.0)
    assert before.items.select("item_id", "title").rows() == [("heat", "Heat")]
    assert before.interactions["time_s"].to_list() == [5.0]
    after = lake.dataset().items
    assert after.select("item_id", "title", "available").rows() == [
        ("heat", "Heat (1995)", True),
        ("ran", "Ran", True),
    ]
    assert after["tags"].to_list() == [["crime", "noir"], []]


def test_a_version_that_never_was_and_a_table_that_is_none_are_named(root: str) -> None:
    lake = Lake(root)
    with pytest.raises(NotFoundError, match="events"):
        lake.dataset()
    lake.events.append([liked("e1")], source="log", upto=1)
    with pytest.raises(DataFormatError, match="version 99"):
        lake.dataset({"events": 99})
    with pytest.raises(NotFoundError, match=r"evnts.*there are: events"):
        lake.dataset({"evnts": 1})


def test_vacuum_takes_old_versions_away_but_those_that_are_to_be_kept(root: str) -> None:
    lake = Lake(root)
    for n in range(4):
        lake.events.append([liked(f"e{n}")], source="log", upto=n + 1)
    lake.compact()
    assert lake.vacuum() == {"events": 0}  # nothing is old enough
    assert lake.vacuum(keep_days=0, keep_versions={"events": [2]}) == {"events": 2}
    assert lake.dataset({"events": 2}).interactions.height == 2
    with pytest.raises(DataFormatError, match="files of version 3"):
        lake.dataset({"events": 3})
    assert lake.dataset().interactions.height == 4
    assert Lake(root).events.taken("log") == 4


def _append_some(root: str, events: Sequence[Event], source: str) -> None:
    lake = Lake(root)
    for n in range(0, len(events), 5):
        lake.events.append(events[n : n + 5], source=source, upto=n + 5)


def test_two_processes_that_send_the_same_events_at_once_write_each_once(root: str) -> None:
    events = [liked(f"e{n:02}") for n in range(40)]
    context = multiprocessing.get_context("spawn")
    both = [
        context.Process(target=_append_some, args=(root, order, source))
        for source, order in (("a", events), ("b", events[::-1]))
    ]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    lake = Lake(root)
    assert ids(lake) == [f"e{n:02}" for n in range(40)]
    assert (lake.events.taken("a"), lake.events.taken("b")) == (40, 40)


def test_a_writer_that_knows_of_no_lock_and_comes_in_between_is_noticed(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, other = Lake(root), Lake(root)
    lake.events.append([liked("e1")], source="log", upto=1)
    admit = lake.events._admit
    others = [other.events.delta]

    def come_between(rows: pl.DataFrame) -> pl.DataFrame:
        if others:
            delta = others.pop()
            row = lake.read("events").with_columns(event_id=pl.lit("e2"))
            assert delta.append(delta.at(), row)
        return admit(rows)

    monkeypatch.setattr(lake.events, "_admit", come_between)
    assert lake.events.append([liked("e2"), liked("e3")], source="log", upto=3) == 1
    assert ids(lake) == ["e1", "e2", "e3"]


def test_a_disk_that_refuses_loses_nothing_and_the_same_batch_is_taken_later(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.events.append([liked("e1")], source="log", upto=1)
    in_the_way = tmp_path / "events" / "day=1970-01-05"
    in_the_way.write_text("a file where the folder of a day belongs")
    batch = [liked("e2"), liked("e3", time_s=4 * DAY_S)]
    with pytest.raises(UnavailableError, match="lake is unavailable"):
        lake.events.append(batch, source="log", upto=3)
    assert (ids(lake), lake.events.taken("log")) == (["e1"], 1)
    in_the_way.unlink()
    assert lake.events.append(batch, source="log", upto=3) == 2
    assert ids(lake) == ["e1", "e2", "e3"]


@pytest.mark.parametrize(
    "entry",
    [
        {"item_id": "heat"},
        {"since_s": 1.0},
        {"item_id": "heat", "since_s": "yesterday"},
        {"item_id": "heat", "since_s": 1.0, "duration_s": "long"},
    ],
)
def test_a_change_of_the_catalogue_that_fits_no_column_is_refused(
    root: str, entry: dict[str, object]
) -> None:
    with pytest.raises(FieldError, match="items"):
        Lake(root).items.append([entry], source="catalogue", upto=1)


def test_text_that_is_not_unicode_is_refused(root: str) -> None:
    with pytest.raises(FieldError, match="events"):
        Lake(root).events.append([liked("\ud800")], source="log", upto=1)


def test_what_is_read_since_a_time_needs_no_file_of_the_days_before(root: str) -> None:
    lake = Lake(root)
    for number, day in enumerate((1, 5, 6)):
        lake.events.append([liked(f"e{day}", time_s=(day + 0.5) * DAY_S)], source="log", upto=number + 1)
    (gone,) = (path for path in lake.files("events")["path"] if "day=1970-01-02" in path)
    lake.place.delete([gone.removeprefix(f"{root}/")])
    assert lake.dataset(since_s=5.5 * DAY_S).interactions["time_s"].to_list() == [5.5 * DAY_S, 6.5 * DAY_S]
    assert lake.dataset(since_s=5.6 * DAY_S).interactions["time_s"].to_list() == [6.5 * DAY_S]
