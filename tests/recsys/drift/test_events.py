from pathlib import Path

import pytest

from recsys.core.errors import DataFormatError
from recsys.data.events import Event, EventKind
from recsys.data.schema import INTERACTIONS
from recsys.drift.events import FollowedEvents, interactions_of
from recsys.eventlog.entry import Erasure
from recsys.eventlog.reader import Damage
from recsys.eventlog.writer import EventLogWriter


def fail(damage: Damage) -> None:
    pytest.fail(str(damage))


def watch(event_id: str, user_id: str = "u", **given: object) -> Event:
    fields = {"kind": EventKind.WATCH, "time_s": 5.0, "item_id": "i", **given}
    return Event(event_id=event_id, user_id=user_id, **fields)  # type: ignore[arg-type]


def test_an_event_that_was_sent_twice_counts_once() -> None:
    found = interactions_of([watch("1", value=0.5), watch("1", value=0.9), watch("1", "other")])
    assert found.schema == INTERACTIONS
    assert found.select("user_id", "value").rows() == [("u", 0.5), ("other", None)]


def test_what_was_taken_back_is_left_out_whatever_came_first() -> None:
    back = watch("2", kind=EventKind.RETRACTION, item_id=None, retracts="1")
    assert interactions_of([back, watch("1")]).is_empty()


def test_a_signup_is_no_interaction() -> None:
    assert interactions_of([watch("1", kind=EventKind.SIGNUP, item_id=None)]).is_empty()


def test_a_log_that_is_followed_tells_what_was_written_since_and_lets_go_of_what_is_older(
    tmp_path: Path,
) -> None:
    with EventLogWriter(tmp_path, "w") as log:
        log.append_durably([watch("1", time_s=5.0), watch("2", time_s=15.0), watch("3", "left", time_s=16.0)])
        followed = FollowedEvents(tmp_path, on_damage=fail)
        assert followed.since(0.0)["time_s"].to_list() == [5.0, 15.0, 16.0]
        log.append_durably(
            [
                Erasure(user_id="left", at_s=20.0),
                watch("2", time_s=15.0),  # sent again
                watch("4", time_s=25.0),
                watch("5", time_s=26.0, kind=EventKind.RETRACTION, item_id=None, retracts="4"),
                watch("6", time_s=27.0),
            ]
        )
        assert followed.since(10.0)["time_s"].to_list() == [15.0, 27.0]
        assert followed.since(20.0)["time_s"].to_list() == [27.0]
        assert followed.since(10.0)["time_s"].to_list() == [15.0, 27.0]  # back to an older bundle


def test_a_log_that_is_not_there_is_not_followed(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="no such folder"):
        FollowedEvents(tmp_path / "nowhere", on_damage=fail)
