import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.core.errors import FieldError
from recsys.data.events import Event, EventKind
from recsys.eventlog.entry import Entry, Erasure, decode_entry, encode_entry, is_erasure

some_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
times = st.floats(allow_nan=False, allow_infinity=False)
events = st.builds(
    Event,
    event_id=some_text,
    user_id=some_text,
    kind=st.sampled_from(EventKind),
    time_s=times,
    item_id=st.none() | some_text,
    value=st.none() | times,
    context=st.none() | some_text,
    retracts=st.none() | some_text,
    request_id=st.none() | some_text,
)
erasures = st.builds(Erasure, user_id=some_text, at_s=times)


@given(events | erasures)
def test_every_entry_comes_back_as_it_was(entry: Entry) -> None:
    payload = encode_entry(entry)
    assert decode_entry(payload) == entry
    assert is_erasure(payload) == isinstance(entry, Erasure)
    assert not set(payload) & {0xF5, 0xFE}  # what frames are told by


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"no json",
        b"[]",
        b"7",
        b"{}",
        b'{"event":{}}',
        b'{"event":{"kind":"watch","colour":"red"}}',
        b'{"event":{"kind":"dance"}}',
        b'{"exposure":{"request_id":"r"}}',
        b'{"event":{},"erasure":{}}',
    ],
)
def test_what_is_no_entry_is_a_value_error(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_entry(payload)


def test_an_entry_of_more_than_a_mebibyte_is_refused() -> None:
    huge = Event(event_id="e" * (1 << 20), user_id="ada", kind=EventKind.SIGNUP, time_s=1.0)
    with pytest.raises(FieldError, match="at most 1048576 bytes"):
        encode_entry(huge)


def test_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(FieldError, match="event"):
        encode_entry(Event(event_id="\ud800", user_id="ada", kind=EventKind.SIGNUP, time_s=1.0))
