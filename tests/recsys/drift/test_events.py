from recsys.data.events import Event, EventKind
from recsys.data.schema import INTERACTIONS
from recsys.drift.events import interactions_of


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
