"""Taking users out of the log, while it is written, read, and after every way to die in the middle."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.core.pseudonyms import tombstone_of
from recsys.data.events import Event, EventKind
from recsys.eventlog.entry import Erasure, encode_entry
from recsys.eventlog.follow import LogFollower
from recsys.eventlog.frame import Fault, frame, header
from recsys.eventlog.reader import Damage, read_entries, read_erasures, read_events
from recsys.eventlog.redact import Redacted, naming, redact
from recsys.eventlog.replay import replay
from recsys.eventlog.segment import is_open, segment_paths
from recsys.eventlog.writer import EventLogConfig, EventLogWriter
from recsys.state.sqlite import SqliteUserState
from recsys.state.store import Applied

NAMES = st.sampled_from(["ada", "bob", 'q"uote', "ä", "a", "tombstone:x", "c\n"])


def watch(event_id: str, user_id: str = "ada", time_s: float = 1.0) -> Event:
    return Event(event_id=event_id, user_id=user_id, kind=EventKind.WATCH, time_s=time_s, item_id="film")


def fail(damage: Damage) -> None:
    pytest.fail(str(damage))


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in segment_paths(folder))


def test_a_user_goes_and_everybody_else_stays(tmp_path: Path) -> None:
    with EventLogWriter(tmp_path, "w", config=EventLogConfig(segment_bytes=1)) as log:
        log.append_durably([watch("1"), watch("2", "bob")])
        log.append_durably([watch("3"), Erasure(user_id="ada", at_s=9.0), watch("4", "bob")])
        log.append_durably([watch("5", time_s=10.0)])  # after the erasure: she has come back
    assert redact(tmp_path, {"ada": 9.0}) == Redacted(n_events=2, n_erasures=1)
    left = list(read_entries(tmp_path, on_damage=fail))
    buried = Erasure(user_id=tombstone_of("ada"), at_s=9.0)
    assert left == [buried, watch("2", "bob"), watch("4", "bob"), watch("5", time_s=10.0)]
    assert redact(tmp_path, {"ada": 9.0}) == Redacted()
    assert redact(tmp_path, {"ada": 11.0}) == Redacted(n_events=1)
    assert b"ada" not in bytes_of(tmp_path)
    assert naming(tmp_path, {"ada": 0.0}) == {}


@settings(max_examples=60)
@given(st.lists(st.tuples(NAMES, st.booleans(), st.integers(0, 20)), max_size=12), NAMES)
def test_whoever_is_redacted_leaves_no_byte_and_moves_no_other_entry(
    tmp_path_factory: pytest.TempPathFactory, facts: list[tuple[str, bool, int]], who: str
) -> None:
    folder = tmp_path_factory.mktemp("log")
    entries = [
        Erasure(user_id=name, at_s=float(at_s)) if erasure else watch(f"e{at_s}", name, float(at_s))
        for name, erasure, at_s in facts
    ]
    with EventLogWriter(folder, "w") as log:
        log.append_durably(entries)
    sizes = [path.stat().st_size for path in segment_paths(folder)]
    redact(folder, {who: 20.0})
    assert naming(folder, {who: 0.0}) == {}
    assert [path.stat().st_size for path in segment_paths(folder, "w")] == sizes
    others = [entry for entry in entries if entry.user_id != who]
    assert [entry for entry in read_entries(folder, on_damage=fail) if entry in entries] == others


def test_a_follower_in_the_middle_goes_on_where_it_was(tmp_path: Path) -> None:
    follower = LogFollower(tmp_path, on_damage=fail)
    with EventLogWriter(tmp_path, "w") as log:
        log.append_durably([watch("1"), watch("2", "bob")])
        assert [entry for entry in follower.read() if isinstance(entry, Event)] == [
            watch("1"),
            watch("2", "bob"),
        ]
        log.append_durably([watch("3"), watch("4", "bob")])
        redact(tmp_path, {"ada": 9.0})  # while the writer has the segment open
        log.append_durably([watch("5", "bob")])
        told = list(follower.read())
    buried = Erasure(user_id=tombstone_of("ada"), at_s=9.0)
    assert told == [buried, watch("4", "bob"), watch("5", "bob")]
    assert list(follower.read()) == []
    assert b"ada" not in bytes_of(tmp_path)


@settings(max_examples=80)
@given(st.integers(0, 400), st.integers(0, 2))
def test_a_death_in_the_middle_costs_no_other_entry_and_the_next_redaction_ends_it(
    tmp_path_factory: pytest.TempPathFactory, n_written: int, victim: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    entries = [watch("1"), watch("2"), watch("3")]
    kept = [watch("a", "bob"), watch("b", "bob"), watch("c", "bob"), watch("d", "bob")]
    path = folder / "events-w-0000000001.log"
    frames = [frame(encode_entry(entry)) for pair in zip(kept, entries, strict=False) for entry in pair]
    frames.append(frame(encode_entry(kept[-1])))
    path.write_bytes(header() + b"".join(frames))
    before = path.read_bytes()
    redact(folder, {"ada": 9.0})
    after = path.read_bytes()
    start = len(header()) + sum(len(one) for one in frames[: 2 * victim + 1])
    length = len(frames[2 * victim + 1])
    until = start + min(n_written, length)
    # as if the process had died while it wrote this entry: those before it are done, this one is in part
    path.write_bytes(after[:until] + before[until:])
    damages: list[Damage] = []
    found = [entry for entry in read_entries(folder, on_damage=damages.append) if entry.user_id == "bob"]
    assert found == kept
    assert all(damage.n_bytes <= length for damage in damages)
    redact(folder, {"ada": 9.0})
    assert b"ada" not in bytes_of(folder)
    found = [entry for entry in read_entries(folder, on_damage=lambda _: None) if entry.user_id == "bob"]
    assert found == kept


def test_the_torn_end_of_a_writer_that_died_goes_too_and_that_of_a_living_one_is_left(tmp_path: Path) -> None:
    with EventLogWriter(tmp_path, "w") as log:
        log.append_durably([watch("1", "bob")])
        [path] = segment_paths(tmp_path)
        whole = frame(encode_entry(watch("2")))
        with path.open("ab") as file:
            file.write(whole[:-3])  # on its way
        redact(tmp_path, {"ada": 9.0})
        assert path.read_bytes().endswith(whole[:-3])
    redact(tmp_path, {"ada": 9.0})
    assert b"ada" not in bytes_of(tmp_path)
    assert list(read_events(tmp_path, on_damage=fail)) == [watch("1", "bob")]


def test_what_comes_late_of_a_redacted_user_is_honoured_by_replay_and_training(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    with EventLogWriter(folder, "w") as log:
        log.append_durably([watch("1"), Erasure(user_id="ada", at_s=9.0)])
        redact(folder, {"ada": 9.0})
        log.append_durably([watch("2", time_s=5.0), watch("3", time_s=10.0)])  # from a client's queue
    assert list(read_events(folder, on_damage=fail)) == [watch("3", time_s=10.0)]
    assert read_erasures(folder) == {tombstone_of("ada"): 9.0}
    with SqliteUserState(tmp_path / "state.db") as state:
        assert replay(folder, state, on_damage=fail) == {Applied.ACCEPTED: 1}
        assert state.apply([watch("2", time_s=5.0)]) == [Applied.ERASED]


def test_the_time_of_a_closed_segment_stays_for_followers_and_retention(tmp_path: Path) -> None:
    with EventLogWriter(tmp_path, "w") as log:
        log.append_durably([watch("1")])
        [path] = segment_paths(tmp_path)
        assert is_open(path)
    assert not is_open(path)
    old_s = time.time() - 1_000.0
    os.utime(path, (old_s, old_s))
    redact(tmp_path, {"ada": 9.0})
    assert path.stat().st_mtime == pytest.approx(old_s, abs=0.01)


def test_bytes_that_another_version_wrote_are_left_and_found(tmp_path: Path) -> None:
    path = tmp_path / "events-w-0000000001.log"
    path.write_bytes(header() + frame(b'{"later":{"user_id":"ada"}}'))
    damages: list[Damage] = []
    redact(tmp_path, {"ada": 9.0})
    assert [entry.user_id for entry in read_entries(tmp_path, on_damage=damages.append)] == [
        tombstone_of("ada")
    ]
    assert [damage.fault for damage in damages] == [Fault.UNREADABLE]
    assert naming(tmp_path, {"ada": 0.0}) == {path: 1}
