import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.events import Event, EventKind
from recsys.eventlog.entry import Entry, Erasure, encode_entry
from recsys.overlay.change import ItemChange
from recsys.streams.item_change import encode_change, read_change
from recsys.streams.message import Judgement, Message, PoisonError, Reason, read_message

NOW_S = 1_000.0
JUDGEMENT = Judgement(max_ahead_s=60.0, max_bytes=500)
WATCH = {"event_id": "e", "user_id": "ada", "kind": "watch", "time_s": 900.0, "item_id": "film"}


def reason_of(value: bytes | None, *, schema: bytes | None = None) -> Reason:
    with pytest.raises(PoisonError) as caught:
        read_message(Message(0, value, schema=schema), now_s=NOW_S, judgement=JUDGEMENT)
    return caught.value.reason


def event(**changed: object) -> bytes:
    return json.dumps({"event": {**WATCH, **changed}}).encode()


IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
TIMES = st.floats(-1e9, NOW_S, allow_nan=False)
ENTRIES: st.SearchStrategy[Entry] = st.one_of(
    st.builds(Erasure, user_id=IDS, at_s=TIMES),
    st.builds(Event, event_id=IDS, user_id=IDS, item_id=IDS, time_s=TIMES, kind=st.just(EventKind.WATCH)),
    st.builds(
        Event, event_id=IDS, user_id=IDS, retracts=IDS, time_s=TIMES, kind=st.just(EventKind.RETRACTION)
    ),
)


@given(ENTRIES)
def test_what_our_own_logs_write_is_read(entry: Entry) -> None:
    message = Message(0, encode_entry(entry), schema=b"1")
    assert read_message(message, now_s=NOW_S, judgement=Judgement()) == entry


@given(st.binary(max_size=50))
def test_any_other_bytes_are_malformed(value: bytes) -> None:
    assert reason_of(value) is Reason.MALFORMED


@pytest.mark.parametrize(
    "changed",
    [
        {"time_s": "yesterday"},
        {"time_s": float("nan")},
        {"kind": "wink"},
        {"user_id": ""},
        {"user_id": 7},
        {"item_id": None},
        {"kind": "signup"},  # with an item
        {"kind": "retraction", "item_id": None},  # of nothing
        {"retracts": "e0"},
        {"value": float("inf")},
        {"mood": "good"},
    ],
)
def test_an_event_that_is_none_is_malformed(changed: dict[str, object]) -> None:
    assert reason_of(event(**changed)) is Reason.MALFORMED


def test_an_event_further_ahead_than_clocks_go_wrong_is_of_the_future() -> None:
    message = Message(0, event(time_s=NOW_S + 60.0))
    assert read_message(message, now_s=NOW_S, judgement=JUDGEMENT).user_id == "ada"
    assert reason_of(event(time_s=NOW_S + 60.1)) is Reason.FUTURE


def test_a_later_schema_is_left_to_later_programs() -> None:
    assert reason_of(event(), schema=b"2") is Reason.UNKNOWN_SCHEMA


def test_a_message_longer_than_an_entry_may_be_is_oversized() -> None:
    assert reason_of(event(item_id="x" * 500)) is Reason.OVERSIZED


def test_both_or_neither_of_event_and_erasure_is_malformed() -> None:
    assert reason_of(b"{}") is Reason.MALFORMED
    both = {"event": WATCH, "erasure": {"user_id": "ada", "at_s": 1.0}}
    assert reason_of(json.dumps(both).encode()) is Reason.MALFORMED


def row_of(message: Message) -> dict[str, object]:
    return read_change(message, now_s=NOW_S, judgement=JUDGEMENT).model_dump()


def test_a_change_of_an_item_holds_from_when_it_came_unless_it_says_when() -> None:
    change = ItemChange(item_id="film", title="Film", tags=["war"], duration_s=90.0)
    row = row_of(Message(0, encode_change(change), b"film", sent_s=800.0))
    assert row == {
        "item_id": "film",
        "title": "Film",
        "tags": ["war"],
        "creator_id": None,
        "duration_s": 90.0,
        "published_s": None,
        "cost": None,
        "available": True,
        "since_s": 800.0,
    }
    said = change.model_copy(update={"since_s": 5.0})
    assert row_of(Message(0, encode_change(said), b"film", sent_s=800.0))["since_s"] == 5.0


def test_a_key_without_a_value_says_that_the_item_is_gone() -> None:
    row = row_of(Message(0, None, b"film", sent_s=800.0))
    assert (row["item_id"], row["available"], row["since_s"]) == ("film", False, 800.0)


@pytest.mark.parametrize(
    "message",
    [
        Message(0, b'{"item_id": "film"}', b"other"),
        Message(0, b'{"item_id": ""}'),
        Message(0, b'{"title": "Film"}'),
        Message(0, b'{"item_id": "film", "cost": NaN}'),
        Message(0, b'{"item_id": "film", "since_s": 5000}'),
        Message(0, None, b"\xff"),
        Message(0, None),
    ],
)
def test_a_change_that_is_none_is_refused(message: Message) -> None:
    with pytest.raises(PoisonError):
        row_of(message)
