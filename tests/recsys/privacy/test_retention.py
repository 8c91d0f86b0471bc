import os
from pathlib import Path

import pytest

from recsys.core.clock import SECONDS_PER_DAY
from recsys.data.events import Event, EventKind
from recsys.eventlog.segment import segment_paths
from recsys.eventlog.writer import EventLogWriter
from recsys.privacy.retention import RetentionConfig, enforce

NOW_S = 2_000_000_000.0
WATCH = Event(event_id="1", user_id="ada", kind=EventKind.WATCH, time_s=1.0, item_id="film")


def last_written(path: Path, days_ago: float) -> None:
    at_s = NOW_S - days_ago * SECONDS_PER_DAY
    os.utime(path, (at_s, at_s))


def removed(tmp_path: Path, events_days: float | None) -> int:
    config = RetentionConfig(events_days=events_days)
    counts = enforce(config, events=tmp_path / "events", exposures=tmp_path / "exposures", now_s=NOW_S)
    return counts["event log"]


@pytest.mark.parametrize(("events_days", "n_removed"), [(None, 0), (3.0, 0), (1.0, 1)])
def test_a_closed_segment_goes_when_its_last_entry_is_too_old(
    tmp_path: Path, events_days: float | None, n_removed: int
) -> None:
    with EventLogWriter(tmp_path / "events", "old") as log:
        log.append_durably([WATCH])
    [old] = segment_paths(tmp_path / "events")
    last_written(old, 2.0)
    with EventLogWriter(tmp_path / "events", "new") as log:
        log.append_durably([WATCH])
    [new] = segment_paths(tmp_path / "events", "new")
    last_written(new, 0.5)
    assert removed(tmp_path, events_days) == n_removed
    assert old.exists() == (n_removed == 0)
    assert new.exists()


def test_a_segment_that_a_writer_holds_stays_however_long_nothing_came(tmp_path: Path) -> None:
    with EventLogWriter(tmp_path / "events", "idle") as log:
        log.append_durably([WATCH])
        [idle] = segment_paths(tmp_path / "events")
        last_written(idle, 100.0)
        assert removed(tmp_path, 1.0) == 0
        log.append_durably([WATCH])
        last_written(idle, 100.0)
    assert removed(tmp_path, 1.0) == 1


def test_where_nothing_is_kept_nothing_is_removed(tmp_path: Path) -> None:
    assert removed(tmp_path, 1.0) == 0
