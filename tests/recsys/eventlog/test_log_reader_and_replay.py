from pathlib import Path

import pytest

from recsys.core.errors import DataFormatError
from recsys.data.events import Event, EventKind
from recsys.eventlog.entry import Entry, Erasure, encode_entry
from recsys.eventlog.frame import Fault, frame, header
from recsys.eventlog.reader import Damage, read_entries, read_erasures, read_events
from recsys.eventlog.replay import replay
from recsys.eventlog.writer import EventLogWriter
from recsys.state.sqlite import SqliteUserState
from recsys.state.store import Applied


def watch(event_id: str, user_id: str, time_s: float) -> Event:
    return Event(
        event_id=event_id, user_id=user_id, kind=EventKind.WATCH, time_s=time_s, item_id=f"film-{event_id}"
    )


def write(folder: Path, writer_id: str, *entries: Entry) -> None:
    with EventLogWriter(folder, writer_id) as writer:
        writer.append_durably(entries)


def fail(damage: Damage) -> None:
    pytest.fail(str(damage))


def test_a_missing_folder_is_told_and_an_empty_one_is_an_empty_log(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="no such folder"):
        list(read_entries(tmp_path / "nowhere", on_damage=fail))
    assert list(read_entries(tmp_path, on_damage=fail)) == []


def test_events_that_an_erasure_covers_are_not_read_whoever_wrote_it(tmp_path: Path) -> None:
    write(tmp_path, "a", watch("1", "ada", 1.0), watch("2", "bob", 1.0), watch("3", "ada", 5.0))
    write(tmp_path, "b", Erasure(user_id="ada", at_s=5.0), Erasure(user_id="ada", at_s=2.0))
    write(tmp_path, "c", watch("4", "ada", 5.5))
    assert read_erasures(tmp_path) == {"ada": 5.0}
    assert [event.event_id for event in read_events(tmp_path, on_damage=fail)] == ["2", "4"]


def test_an_entry_of_an_unknown_sort_is_reported_and_the_next_one_read(tmp_path: Path) -> None:
    strange = b'{"exposure":{}}'
    log = header() + frame(strange) + frame(encode_entry(watch("1", "ada", 1.0)))
    path = tmp_path / "events-w-0000000001.log"
    path.write_bytes(log)
    damages: list[Damage] = []
    assert list(read_entries(tmp_path, on_damage=damages.append)) == [watch("1", "ada", 1.0)]
    assert damages == [Damage(path, len(header()), len(strange), Fault.UNREADABLE)]


def test_a_replay_rebuilds_the_state_and_a_second_one_changes_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    undo = Event(event_id="9", user_id="ada", kind=EventKind.RETRACTION, time_s=9.0, retracts="2")
    write(log, "a", watch("1", "ada", 1.0), watch("1", "bob", 1.0), undo)
    write(log, "b", watch("2", "ada", 2.0), watch("3", "ada", 3.0), watch("1", "ada", 1.0))
    write(log, "c", Erasure(user_id="bob", at_s=4.0))
    with SqliteUserState(tmp_path / "state.db") as store:
        first = replay(log, store, on_damage=fail)
        states = [(state.item_ids, state.seen, state.erased_at_s) for state in store.read(["ada", "bob"])]
        second = replay(log, store, on_damage=fail)
        assert states == [
            (("film-1", "film-3"), {"film-1", "film-3"}, None),
            ((), frozenset(), 4.0),
        ]
        assert [(s.item_ids, s.seen, s.erased_at_s) for s in store.read(["ada", "bob"])] == states
    assert first == {Applied.ACCEPTED: 3, Applied.UNKNOWN: 1, Applied.DUPLICATE: 1}
    assert second == {Applied.DUPLICATE: 5}


def test_a_replay_of_more_events_than_fit_one_call_takes_them_all(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write(log, "a", *(watch(str(n), f"u{n % 7}", float(n)) for n in range(2_500)))
    with SqliteUserState(tmp_path / "state.db") as store:
        assert replay(log, store, on_damage=fail) == {Applied.ACCEPTED: 2_500}
        assert sum(len(state.seen) for state in store.read([f"u{n}" for n in range(7)])) == 2_500
