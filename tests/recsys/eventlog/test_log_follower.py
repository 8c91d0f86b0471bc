import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.data.events import Event, EventKind
from recsys.eventlog.entry import Erasure, encode_entry
from recsys.eventlog.follow import LogFollower
from recsys.eventlog.frame import Fault, frame, header
from recsys.eventlog.reader import Damage, read_entries
from recsys.eventlog.writer import EventLogConfig, EventLogWriter


def watch(event_id: str) -> Event:
    return Event(event_id=event_id, user_id="ada", kind=EventKind.WATCH, time_s=1.0, item_id="film")


def fail(damage: Damage) -> None:
    pytest.fail(str(damage))


def test_every_entry_is_told_once_whichever_segment_it_came_into(tmp_path: Path) -> None:
    follower = LogFollower(tmp_path, on_damage=fail)
    tiny = EventLogConfig(segment_bytes=1)  # a segment per append
    with EventLogWriter(tmp_path, "a", config=tiny) as one, EventLogWriter(tmp_path, "b") as other:
        one.append_durably([watch("1"), watch("2")])
        other.append_durably([Erasure(user_id="eve", at_s=3.0)])
        assert list(follower.read()) == [watch("1"), watch("2"), Erasure(user_id="eve", at_s=3.0)]
        assert list(follower.read()) == []
        other.append_durably([watch("3")])
        one.append_durably([watch("4")])
        assert list(follower.read()) == [watch("4"), watch("3")]
    assert list(LogFollower(tmp_path, on_damage=fail).read()) == list(read_entries(tmp_path, on_damage=fail))


def test_a_log_that_is_not_there_yet_has_no_entries(tmp_path: Path) -> None:
    follower = LogFollower(tmp_path / "log", on_damage=fail)
    assert list(follower.read()) == []
    with EventLogWriter(tmp_path / "log", "w") as writer:
        writer.append_durably([watch("1")])
    assert list(follower.read()) == [watch("1")]


@settings(max_examples=60)
@given(st.lists(st.integers(0, 600), max_size=6))
def test_wherever_a_write_is_caught_half_done_nothing_is_lost_or_told_twice(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    path = tmp_path_factory.mktemp("log") / "events-w-0000000001.log"
    whole = header() + b"".join(frame(encode_entry(watch(str(number)))) for number in range(4))
    follower = LogFollower(path.parent, on_damage=fail)
    told = []
    for cut in [*sorted(cuts), len(whole)]:
        path.write_bytes(whole[:cut])
        told += list(follower.read())
    assert told == [watch(str(number)) for number in range(4)]


def test_what_was_read_is_not_opened_again(tmp_path: Path) -> None:
    with EventLogWriter(tmp_path, "w") as writer:
        writer.append_durably([watch("1")])
    follower = LogFollower(tmp_path, on_damage=fail)
    list(follower.read())
    [path] = tmp_path.glob("*.log")
    path.write_bytes(b"x" * path.stat().st_size + frame(encode_entry(watch("2"))))
    assert list(follower.read()) == [watch("2")]


def test_damage_is_told_once_something_whole_stands_behind_it(tmp_path: Path) -> None:
    damages: list[Damage] = []
    follower = LogFollower(tmp_path, on_damage=damages.append)
    path = tmp_path / "events-w-0000000001.log"
    broken = bytearray(frame(encode_entry(watch("1"))))
    broken[-2] ^= 1
    path.write_bytes(header() + broken)
    assert (list(follower.read()), damages) == ([], [])
    path.write_bytes(header() + broken + frame(encode_entry(watch("2"))))
    assert list(follower.read()) == [watch("2")]
    assert damages == [Damage(path, len(header()), len(broken), Fault.CORRUPT)]
    list(follower.read())
    assert len(damages) == 1


def test_an_entry_and_a_segment_of_another_version_are_told_and_passed_over(tmp_path: Path) -> None:
    damages: list[Damage] = []
    strange, later = b'{"exposure":{}}', tmp_path / "events-w-0000000002.log"
    first = tmp_path / "events-w-0000000001.log"
    first.write_bytes(header() + frame(strange) + frame(encode_entry(watch("1"))))
    later.write_bytes(header(version=9) + frame(strange))
    assert list(LogFollower(tmp_path, on_damage=damages.append).read()) == [watch("1")]
    assert damages == [
        Damage(first, len(header()), len(strange), Fault.UNREADABLE),
        Damage(later, 0, later.stat().st_size, Fault.UNREADABLE),
    ]


def test_a_segment_that_was_removed_is_forgotten(tmp_path: Path) -> None:
    follower = LogFollower(tmp_path, on_damage=fail)
    with EventLogWriter(tmp_path, "w") as writer:
        writer.append_durably([watch("1")])
    list(follower.read())
    [path] = tmp_path.glob("*.log")
    path.unlink()
    assert list(follower.read()) == []
    path.write_bytes(header() + frame(encode_entry(watch("2"))))
    assert list(follower.read()) == [watch("2")]


def test_a_segment_from_before_the_time_asked_for_is_passed_over_until_it_grows(tmp_path: Path) -> None:
    with EventLogWriter(tmp_path, "old") as writer:
        writer.append_durably([watch("1")])
    with EventLogWriter(tmp_path, "young") as writer:
        writer.append_durably([watch("2")])
    for path, time_s in zip(sorted(tmp_path.glob("*.log")), (99.0, 100.0), strict=True):
        os.utime(path, (time_s, time_s))
    follower = LogFollower(tmp_path, on_damage=fail, since_s=100.0)
    assert list(follower.read()) == [watch("2")]
    [old] = tmp_path.glob("events-old-*.log")
    old.write_bytes(old.read_bytes() + frame(encode_entry(watch("3"))))
    assert list(follower.read()) == [watch("1"), watch("3")]
