import numpy as np
import pytest

from recsys.core.errors import UnavailableError
from recsys.data.events import Event, EventKind
from recsys.state.codec import decode_record, encode_record, read_view, view_of
from recsys.state.record import Record, StateLimits, apply_events

LIMITS = StateLimits(history_limit=2, remembered_limit=3, settled_limit=1)


def record_of(n_events: int) -> Record:
    events = [
        Event(event_id=f"e{n}", user_id="ada", kind=EventKind.LIKE, time_s=n + 0.1, item_id=f"i{n}")
        for n in range(n_events)
    ]
    return apply_events(Record(erased_at_s=-1.0), events, LIMITS)[0]


@pytest.mark.parametrize("n_events", [0, 1, 3, 9])
def test_a_record_comes_back_as_it_was(n_events: int) -> None:
    record = record_of(n_events)
    assert decode_record(encode_record(record)) == record


def test_nothing_stored_is_an_empty_record() -> None:
    assert decode_record(None) == Record()


def test_a_view_holds_history_seen_and_marks() -> None:
    state = read_view(view_of(record_of(9), LIMITS))
    assert (state.item_ids, state.times_s.tolist()) == (("i7", "i8"), [7.1, 8.1])
    assert state.seen == {"i5", "i6", "i7", "i8"}
    assert (state.erased_at_s, state.seen_since_s) == (-1.0, 4.1)


def test_the_times_of_a_state_cannot_be_written_by_mistake() -> None:
    state = read_view(view_of(record_of(3), LIMITS))
    with pytest.raises(ValueError, match="read-only"):
        state.times_s[0] = 7.0


def test_another_version_of_the_format_is_refused_not_guessed() -> None:
    record = record_of(1)
    view = b"\x03" + view_of(record, LIMITS)[1:]
    with pytest.raises(UnavailableError, match="format 3; this program reads 1 and 2"):
        read_view(view)
    with pytest.raises(UnavailableError, match="format 3"):
        decode_record(b"[3," + encode_record(record)[3:])


def test_what_is_watched_is_written_only_where_it_is_known_so_that_older_programs_read_the_rest() -> None:
    record = record_of(3)
    assert (view_of(record, LIMITS)[0], encode_record(record)[:3]) == (1, b"[1,")
    seen = Event(event_id="w", user_id="ada", kind=EventKind.WATCH, time_s=9.0, item_id="w", value=0.25)
    record, _ = apply_events(record, [seen], LIMITS)
    assert (view_of(record, LIMITS)[0], encode_record(record)[:3]) == (2, b"[2,")
    assert decode_record(encode_record(record)) == record
    state = read_view(view_of(record, LIMITS))
    assert (state.item_ids, state.times_s.tolist()) == (("i2", "w"), [2.1, 9.0])
    assert state.watched is not None
    assert np.array_equal(state.watched, [np.nan, 0.25], equal_nan=True)


def test_a_share_beyond_all_bounds_does_not_keep_a_record_from_being_written() -> None:
    far = Event(event_id="w", user_id="ada", kind=EventKind.WATCH, time_s=9.0, item_id="w", value=1e300)
    state = read_view(view_of(apply_events(Record(), [far], LIMITS)[0], LIMITS))
    assert state.watched is not None
    assert state.watched.tolist() == [float("inf")]
