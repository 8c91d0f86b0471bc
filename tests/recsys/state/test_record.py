from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.events import Event, EventKind
from recsys.state.codec import decode_record, encode_record, read_view, view_of
from recsys.state.record import Record, StateLimits, apply_events, erase_until, sort_of
from recsys.state.store import Applied, UserState

LIMITS = StateLimits()


def event(
    event_id: str,
    time_s: float,
    kind: EventKind = EventKind.WATCH,
    item_id: str | None = "i",
    retracts: str | None = None,
) -> Event:
    return Event(
        event_id=event_id, user_id="ada", kind=kind, time_s=time_s, item_id=item_id, retracts=retracts
    )


def retraction(event_id: str, time_s: float, retracts: str) -> Event:
    return event(event_id, time_s, EventKind.RETRACTION, None, retracts)


@dataclass(frozen=True)
class Plain:
    """A user state that can be compared."""

    history: tuple[tuple[str, float], ...]
    seen: frozenset[str]
    erased_at_s: float | None
    seen_since_s: float | None


def plain(state: UserState) -> Plain:
    history = tuple(zip(state.item_ids, state.times_s.tolist(), strict=True))
    return Plain(history, state.seen, state.erased_at_s, state.seen_since_s)


def state_after(*events: Event, limits: StateLimits = LIMITS, record: Record | None = None) -> Plain:
    after, _ = apply_events(record or Record(), events, limits)
    return plain(read_view(view_of(after, limits)))


def results(*events: Event, record: Record | None = None) -> list[Applied]:
    return apply_events(record or Record(), events, LIMITS)[1]


def test_a_watch_enters_history_and_seen() -> None:
    assert state_after(event("e", 5.0, item_id="film")) == Plain(
        (("film", 5.0),), frozenset({"film"}), None, None
    )


@pytest.mark.parametrize("kind", [EventKind.DISLIKE, EventKind.SKIP])
def test_an_unwanted_item_is_seen_but_no_history(kind: EventKind) -> None:
    assert state_after(event("e", 5.0, kind, "film")) == Plain((), frozenset({"film"}), None, None)


@pytest.mark.parametrize("kind", [EventKind.IMPRESSION, EventKind.SIGNUP])
def test_an_impression_or_signup_changes_nothing_but_is_recognised(kind: EventKind) -> None:
    shown = event("e", 5.0, kind, "film" if kind is EventKind.IMPRESSION else None)
    assert state_after(shown) == Plain((), frozenset(), None, None)
    assert results(shown, shown) == [Applied.ACCEPTED, Applied.DUPLICATE]


def test_history_is_in_order_of_time_and_ties_keep_the_order_of_arrival() -> None:
    state = state_after(
        event("1", 7.0, item_id="late"),
        event("2", 3.0, item_id="b"),
        event("3", 3.0, item_id="a"),
        event("4", 1.0, item_id="early"),
    )
    assert [item_id for item_id, _ in state.history] == ["early", "b", "a", "late"]


def test_an_item_met_twice_stands_twice_in_the_history() -> None:
    state = state_after(event("1", 1.0), event("2", 2.0, EventKind.LIKE))
    assert state.history == (("i", 1.0), ("i", 2.0))


def test_the_same_event_id_counts_once_whatever_it_says_the_second_time() -> None:
    first, second = event("e", 1.0, item_id="a"), event("e", 2.0, item_id="b")
    assert results(first, second) == [Applied.ACCEPTED, Applied.DUPLICATE]
    assert state_after(first, second) == state_after(first)


def test_a_retraction_takes_an_item_out_of_history_and_seen() -> None:
    watch, undo = event("e", 1.0), retraction("r", 2.0, "e")
    assert results(watch, undo) == [Applied.ACCEPTED, Applied.ACCEPTED]
    assert state_after(watch, undo) == Plain((), frozenset(), None, None)


def test_a_retraction_leaves_an_item_seen_that_another_event_names() -> None:
    state = state_after(event("e", 1.0), event("s", 2.0, EventKind.SKIP), retraction("r", 3.0, "e"))
    assert state == Plain((), frozenset({"i"}), None, None)


def test_a_retraction_that_comes_before_its_event_waits_for_it() -> None:
    watch, undo = event("e", 1.0), retraction("r", 2.0, "e")
    assert results(undo, watch, watch) == [Applied.UNKNOWN, Applied.ACCEPTED, Applied.DUPLICATE]
    assert state_after(undo, watch) == Plain((), frozenset(), None, None)


def test_a_retraction_brings_back_what_had_fallen_out_of_the_history() -> None:
    limits = StateLimits(history_limit=2)
    watches = [event(str(n), float(n), item_id=f"i{n}") for n in (1, 2, 3)]
    assert state_after(*watches, limits=limits).history == (("i2", 2.0), ("i3", 3.0))
    state = state_after(*watches, retraction("r", 4.0, "3"), limits=limits)
    assert state.history == (("i1", 1.0), ("i2", 2.0))


def test_a_retraction_of_a_retraction_is_taken_and_changes_nothing() -> None:
    events = [event("e", 1.0), retraction("r", 2.0, "e"), retraction("rr", 3.0, "r")]
    assert results(*events) == [Applied.ACCEPTED] * 3
    assert state_after(*events).seen == frozenset()


def test_an_event_up_to_the_erasure_is_refused_and_a_later_one_accepted() -> None:
    erased = erase_until(apply_events(Record(), [event("old", 1.0)], LIMITS)[0], 10.0)
    late = [event("a", 9.0), event("b", 10.0), event("c", 10.5, item_id="new"), event("old", 1.0)]
    assert results(*late, record=erased) == [
        Applied.ERASED,
        Applied.ERASED,
        Applied.ACCEPTED,
        Applied.ERASED,
    ]
    assert state_after(*late, record=erased) == Plain((("new", 10.5),), frozenset({"new"}), 10.0, None)


def test_an_earlier_erasure_never_moves_a_tombstone_back() -> None:
    assert erase_until(erase_until(Record(), 10.0), 4.0).erased_at_s == 10.0


def test_an_erasure_leaves_no_id_in_the_stored_bytes() -> None:
    record, _ = apply_events(
        Record(),
        [event("secret-event", 1.0, item_id="secret-item"), retraction("secret-r", 2.0, "x")],
        LIMITS,
    )
    erased = erase_until(record, 2.0)
    assert b"secret" in encode_record(record)
    assert b"secret" not in encode_record(erased) + view_of(erased, LIMITS)


def test_an_erasure_forgets_settled_items_too() -> None:
    limits = StateLimits(remembered_limit=1, settled_limit=1)
    events = [event(str(n), float(n), item_id=f"i{n}") for n in range(5)]
    record, _ = apply_events(Record(), events, limits)
    assert plain(read_view(view_of(record, limits))).seen_since_s == 2.0
    assert plain(read_view(view_of(erase_until(record, 4.0), limits))) == Plain((), frozenset(), 4.0, None)


def test_a_settled_event_leaves_its_item_seen_and_comes_again_without_effect() -> None:
    limits = StateLimits(history_limit=2, remembered_limit=2)
    events = [event(str(n), float(n), item_id=f"i{n}") for n in range(4)]
    state = state_after(*events, limits=limits)
    assert state == Plain((("i2", 2.0), ("i3", 3.0)), frozenset({"i0", "i1", "i2", "i3"}), None, None)
    assert state_after(*events, events[0], limits=limits) == state


def test_many_skips_push_no_like_out_of_the_history() -> None:
    limits = StateLimits(remembered_limit=3)
    skips = [event(f"s{n}", 10.0 + n, EventKind.SKIP, f"s{n}") for n in range(9)]
    state = state_after(event("like", 1.0, EventKind.LIKE, "loved"), *skips, limits=limits)
    assert state.history == (("loved", 1.0),)
    assert state.seen == {"loved", *(f"s{n}" for n in range(9))}


def test_dropping_seen_items_is_said_with_the_time_of_the_latest_dropped() -> None:
    limits = StateLimits(remembered_limit=1, settled_limit=2)
    events = [event(str(n), float(n), item_id=f"i{n}") for n in range(5)]
    state = state_after(*events, limits=limits)
    assert state.seen == {"i2", "i3", "i4"}
    assert state.seen_since_s == 1.0


def test_applying_leaves_the_given_record_as_it_was() -> None:
    before, _ = apply_events(Record(), [event("e", 1.0)], LIMITS)
    bytes_before = encode_record(before)
    apply_events(before, [event("f", 2.0), retraction("r", 3.0, "e")], LIMITS)
    erase_until(before, 5.0)
    assert encode_record(before) == bytes_before


def test_every_kind_of_event_has_a_sort() -> None:
    assert {kind.value: sort_of(kind).name for kind in EventKind} == {
        "watch": "POSITIVE",
        "click": "POSITIVE",
        "like": "POSITIVE",
        "share": "POSITIVE",
        "rating": "POSITIVE",
        "dislike": "SEEN",
        "skip": "SEEN",
        "impression": "NEITHER",
        "signup": "NEITHER",
        "retraction": "RETRACTION",
    }


KINDS = [EventKind.WATCH, EventKind.LIKE, EventKind.SKIP, EventKind.IMPRESSION]


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Some events of one user with distinct ids and times, and retractions of some, in any order."""
    n = draw(st.integers(1, 12))
    times = draw(st.permutations(range(n)))
    events = []
    for number, time_s in enumerate(times):
        if draw(st.booleans()):
            kind, item_id = draw(st.sampled_from(KINDS)), draw(st.sampled_from("abcd"))
            events.append(event(f"e{number}", float(time_s), kind, item_id))
        else:
            events.append(retraction(f"e{number}", float(time_s), f"e{draw(st.integers(0, n - 1))}"))
    return events


def expected(events: list[Event]) -> Plain:
    """The rule itself, without any bookkeeping."""
    taken_back = {one.retracts for one in events if one.kind is EventKind.RETRACTION}
    left = sorted((one for one in events if one.event_id not in taken_back), key=lambda one: one.time_s)
    positive = (EventKind.WATCH, EventKind.LIKE)
    history = tuple((str(one.item_id), one.time_s) for one in left if one.kind in positive)
    seen = {str(one.item_id) for one in left if one.kind in (*positive, EventKind.SKIP)}
    return Plain(history, frozenset(seen), None, None)


@given(histories(), st.data())
def test_any_order_of_delivery_with_repeats_gives_what_the_rule_says(
    events: list[Event], data: st.DataObject
) -> None:
    repeats = data.draw(st.lists(st.sampled_from(events), max_size=6))
    delivered = data.draw(st.permutations(events + repeats))
    assert state_after(*delivered) == expected(events)


@given(histories(), st.integers(1, 12))
def test_one_batch_or_several_give_the_same(events: list[Event], cut: int) -> None:
    half, _ = apply_events(Record(), events[:cut], LIMITS)
    half = decode_record(encode_record(half))
    assert state_after(*events[cut:], record=half) == state_after(*events)


@given(histories())
def test_applying_twice_is_applying_once(events: list[Event]) -> None:
    once, _ = apply_events(Record(), events, LIMITS)
    twice, again = apply_events(once, events, LIMITS)
    assert again == [Applied.DUPLICATE] * len(events)
    assert encode_record(twice) == encode_record(once)


@given(histories(), st.integers(-1, 12), st.integers(0, 12))
def test_an_erasure_and_the_events_around_it_commute(events: list[Event], at_s: int, cut: int) -> None:
    time_of = {one.event_id: one.time_s for one in events}
    events = [
        one for one in events if time_of.get(one.retracts or "", -1.0) <= one.time_s
    ]  # first do, then undo
    before, _ = apply_events(Record(), events[:cut], LIMITS)
    erased_between = state_after(*events[cut:], record=erase_until(before, float(at_s)))
    kept = [one for one in events if one.time_s > at_s]
    assert erased_between == replace(expected(kept), erased_at_s=float(at_s))


@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.data())
def test_tight_limits_give_one_result_in_any_order_and_lose_no_seen_item(
    items: list[int], data: st.DataObject
) -> None:
    limits = StateLimits(history_limit=3, remembered_limit=5, settled_limit=1_000)
    events = [event(str(n), float(n), item_id=f"i{item}") for n, item in enumerate(items)]
    delivered = data.draw(st.permutations(events))
    record = Record()
    for one in delivered:
        record, _ = apply_events(record, [one], limits)
    state = plain(read_view(view_of(record, limits)))
    assert state.history == tuple((f"i{item}", float(n)) for n, item in list(enumerate(items))[-3:])
    assert state.seen == {f"i{item}" for item in items}
