from collections.abc import Sequence
from functools import partial
from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.core.pseudonyms import Pseudonyms
from recsys.data.events import Event, EventKind
from recsys.eventlog.entry import Entry, Erasure
from recsys.eventlog.exposure import Exposure, chunk_of, frame_of
from recsys.eventlog.exposure_files import write_exposures
from recsys.eventlog.reader import Damage
from recsys.eventlog.writer import EventLogWriter
from recsys.experiments.feedback import IMPRESSIONS, LISTS, Records, join_feedback, read_records
from recsys.experiments.reactions import REACTIONS, reactions_of, read_reactions, usable

PSEUDONYMS = Pseudonyms(b"k" * 32)
WINDOW_S = 4.0
FLAGS = ["clicked", "watched", "skipped", "liked", "chosen"]


def served(
    request_id: str,
    served_at_s: float = 0.0,
    who: str | None = "ada",
    items: Sequence[str] = ("a", "b"),
    *,
    session: str | None = None,
    call: str = "recommend",
    override: bool = False,
    degraded: Sequence[str] = (),
    n_shown_before: int = 0,
    arm: str = "stable",
    experiments: Sequence[str] = (),
) -> Exposure:
    return Exposure(
        request_id, served_at_s, None if who is None else PSEUDONYMS.of(who), arm, "b", call, None,
        n_shown_before, override=override, cached=False, degraded=degraded, item_ids=items,
        scores=[1.0] * len(items), sources=["svd"] * len(items), propensities=[1.0] * len(items),
        session_pseudonym=None if session is None else PSEUDONYMS.of_session(session),
        experiments=experiments,
    )  # fmt: skip


def event(
    kind: EventKind,
    item_id: str | None = "a",
    time_s: float = 1.0,
    who: str = "ada",
    *,
    request_id: str | None = None,
    value: float | None = None,
    event_id: str = "e",
    retracts: str | None = None,
) -> Event:
    return Event(
        event_id=event_id, user_id=who, kind=kind, time_s=time_s, item_id=item_id, value=value,
        request_id=request_id, retracts=retracts,
    )  # fmt: skip


watch = partial(event, EventKind.WATCH)


def joined(exposures: Sequence[Exposure], events: Sequence[Event], **asked: bool) -> Records:
    frame = frame_of([chunk_of(exposures)] if exposures else [])
    reactions = usable(reactions_of(events, PSEUDONYMS))
    return join_feedback(frame.lazy(), reactions, window_s=WINDOW_S, **asked)


def watched(records: Records) -> list[tuple[str, str]]:
    """Which item of which request was watched."""
    return records.impressions.filter("watched").select("request_id", "item_id").rows()


def test_a_row_per_impression_says_who_saw_what_where_and_what_came_of_it() -> None:
    page = served("r", 10.0, n_shown_before=2, experiments=["x=on"])
    events = [
        event(EventKind.CLICK, "b", 11.0, request_id="r", event_id="1"),
        watch("b", 12.0, request_id="r", event_id="2", value=0.25),
        event(EventKind.SKIP, "a", 10.0, event_id="3"),
    ]
    records = joined([page], events)
    ada = PSEUDONYMS.of("ada")
    shared = (0, "r", ada, "stable", "b", ["x=on"], 10.0)
    assert records.impressions.schema == IMPRESSIONS
    assert records.impressions.rows() == [
        (*shared, "a", 3, 1, "svd", False, False, True, False, False, None),
        (*shared, "b", 4, 2, "svd", True, True, False, False, True, 0.25),
    ]
    assert records.lists.schema == LISTS
    assert records.lists.rows() == [("r", ada, "stable", "b", ["x=on"], None, 10.0, 2)]


def test_the_unit_is_the_user_else_the_session_else_the_request() -> None:
    lists = [
        served("1", session="s"),
        served("2", who=None, session="s"),
        served("3", who=None),
    ]
    units = joined(lists, []).lists["unit"].to_list()
    assert units == [PSEUDONYMS.of("ada"), PSEUDONYMS.of_session("s"), "3"]


def test_a_reaction_without_a_request_belongs_to_the_latest_list_that_showed_the_item() -> None:
    lists = [served("1", 0.0), served("2", 2.0), served("3", 2.5, items=["b"]), served("4", 3.0)]
    assert watched(joined(lists, [watch("a", 2.9)])) == [("2", "a")]
    assert watched(joined(lists, [watch("a", 2.9, request_id="1")])) == [("1", "a")]
    assert watched(joined(lists, [watch("a", -0.1)])) == []
    assert watched(joined(lists, [watch("a", 7.0)])) == [("4", "a")]
    assert watched(joined(lists, [watch("a", 7.1)])) == []
    assert watched(joined(lists, [watch("a", 2.9, who="bob")])) == []


def test_a_reaction_that_names_a_request_is_not_given_to_another_one() -> None:
    lists = [served("1"), served("2", who="bob"), served("3", who=None)]
    assert watched(joined(lists, [watch("a", request_id="gone")])) == []
    assert watched(joined(lists, [watch("c", request_id="1")])) == []
    assert watched(joined(lists, [watch("a", request_id="2")])) == []  # bob's list
    assert watched(joined(lists, [watch("a", request_id="3")])) == [("3", "a")]  # nobody was named then


def test_a_repeated_request_id_counts_once_the_earliest() -> None:
    lists = [served("1", 2.0, items=["b"]), served("1", 1.0, items=["a"])]
    records = joined(lists, [watch("a", 3.0, request_id="1"), watch("b", 3.0, request_id="1", event_id="2")])
    assert watched(records) == [("1", "a")]
    assert records.lists.height == 1


def test_lists_that_are_left_out_keep_their_reactions() -> None:
    lists = [
        served("1", 0.0),
        served("2", 1.0, override=True),
        served("3", 2.0, degraded=["ranking: deadline"]),
        served("4", 2.5, call="popular"),
    ]
    events = [watch("a", 1.5, event_id="1"), watch("b", 2.6, event_id="2")]
    assert watched(joined(lists, events)) == [("3", "b")]
    assert watched(joined(lists, events, overrides=True)) == [("2", "a"), ("3", "b")]
    assert watched(joined(lists, events, degraded=False)) == []
    assert joined(lists, events, degraded=False).lists["request_id"].to_list() == ["1"]
    everything = joined(lists, events, overrides=True, degraded=True)
    assert everything.lists["request_id"].to_list() == ["1", "2", "3"]


def test_an_impression_counts_each_kind_once_with_its_largest_watch() -> None:
    events = [watch(event_id=str(n), value=value) for n, value in enumerate((0.25, 0.75, None, 0.5))]
    shown = joined([served("1")], events).impressions
    assert shown["watched"].to_list() == [True, False]
    assert shown["watch_value"].to_list() == [0.75, None]


def test_an_item_that_stands_twice_in_a_list_is_credited_in_the_upper_place() -> None:
    for request_id in ("1", None):
        records = joined([served("1", items=["b", "a", "a"])], [watch("a", request_id=request_id)])
        assert records.impressions["watched"].to_list() == [False, True, False]


def test_a_retraction_takes_its_event_away_whichever_came_first() -> None:
    undo = event(EventKind.RETRACTION, None, 2.0, event_id="u", retracts="1")
    other = event(EventKind.RETRACTION, None, 2.0, who="bob", event_id="u", retracts="2")
    events = [watch("a", event_id="1"), watch("b", event_id="2")]
    for order in ([undo, other, *events], [*events, other, undo]):
        assert watched(joined([served("1")], order)) == [("1", "b")]


def test_an_event_that_was_sent_again_counts_once_and_the_earliest() -> None:
    again = [watch("a", 3.0, value=0.9), watch("a", 1.0, value=0.1)]
    assert usable(reactions_of(again, PSEUDONYMS))["time_s"].to_list() == [1.0]
    two_users = [watch("a"), watch("a", who="bob")]  # ids belong to their users
    assert usable(reactions_of(two_users, PSEUDONYMS)).height == 2


def test_only_what_a_user_did_to_an_item_is_a_reaction() -> None:
    events = [event(EventKind.IMPRESSION), event(EventKind.SIGNUP, None), watch()]
    assert reactions_of(events, PSEUDONYMS)["kind"].to_list() == ["watch"]
    assert reactions_of([], PSEUDONYMS).schema == REACTIONS


def test_records_are_read_from_folders_by_time_and_without_erased_users(tmp_path: Path) -> None:
    lists = [served("1", 100.0), served("2", 110.0, items=["a"]), served("3", 110.0, who="eve")]
    write_exposures(tmp_path / "exposures", "w", 0, frame_of([chunk_of(lists)]))
    events: list[Entry] = [
        watch("a", 112.0, event_id="1"),
        watch("b", 112.0, event_id="2"),
        watch("b", 112.0, "eve", request_id="3"),
        Erasure(user_id="eve", at_s=113.0),
    ]
    with EventLogWriter(tmp_path / "log", "w") as log:
        log.append_durably(events)
    damages: list[Damage] = []
    reactions = read_reactions(tmp_path / "log", PSEUDONYMS, on_damage=damages.append)
    assert damages == []
    read = partial(read_records, tmp_path / "exposures", reactions, window_s=20.0)
    assert watched(read()) == [("1", "b"), ("2", "a")]
    # the list after the range claims the reaction to "a", though it is not among the lists asked for
    assert watched(read(until_s=105.0)) == [("1", "b")]
    assert read(since_s=105.0).lists["request_id"].to_list() == ["2", "3"]


def test_nothing_served_is_an_empty_table() -> None:
    records = joined([], [watch()])
    assert (records.lists.schema, records.impressions.schema) == (LISTS, IMPRESSIONS)
    assert records.lists.is_empty()
    assert records.impressions.is_empty()


few_seconds = st.integers(0, 9).map(float)
whose = st.sampled_from([None, "ada", "bob"])
names = st.sampled_from(["r1", "r2", "r3"])


@st.composite
def exposures(draw: st.DrawFn) -> Exposure:
    return served(
        draw(names),
        draw(few_seconds),
        draw(whose),
        draw(st.lists(st.sampled_from("abc"), max_size=3)),
        call=draw(st.sampled_from(["recommend", "recommend", "popular"])),
        override=draw(st.booleans()),
        degraded=draw(st.sampled_from([(), ("ranking: deadline",)])),
        n_shown_before=draw(st.integers(0, 2)),
    )


@st.composite
def events(draw: st.DrawFn) -> Event:
    kind = draw(st.sampled_from([*EventKind]))
    undo = kind is EventKind.RETRACTION
    return event(
        kind,
        None if undo else draw(st.sampled_from("abc")),
        draw(few_seconds),
        draw(st.sampled_from(["ada", "bob"])),
        request_id=draw(st.none() | names),
        value=draw(st.none() | st.sampled_from([0.25, 0.5])),
        event_id=draw(st.sampled_from("12345")),
        retracts=draw(st.sampled_from("12345")) if undo else None,
    )


Met = dict[tuple[int, int], set[tuple[str, float | None]]]
"""(List, place) -> what happened there."""


def oracle_lists(shown: Sequence[Exposure]) -> list[Exposure]:
    first: dict[str, Exposure] = {}
    for each in sorted(shown, key=lambda each: each.served_at_s):
        if each.call == "recommend":
            first.setdefault(each.request_id, each)
    return [*first.values()]


def oracle_events(happened: Sequence[Event]) -> list[Event]:
    counted: list[Event] = []
    for each in sorted(happened, key=lambda each: each.time_s):
        if each.kind in {EventKind.IMPRESSION, EventKind.SIGNUP, EventKind.RETRACTION}:
            continue
        again = any((each.user_id, each.event_id) == (one.user_id, one.event_id) for one in counted)
        if not again:
            counted.append(each)
    return [
        each
        for each in counted
        if not any(undo.retracts == each.event_id and undo.user_id == each.user_id for undo in happened)
    ]


def oracle(lists: Sequence[Exposure], happened: Sequence[Event]) -> Met:
    met: Met = {}
    for each in oracle_events(happened):
        claims: list[tuple[float, int, int]] = []
        for row, one in enumerate(lists):
            same_user = one.user_pseudonym == PSEUDONYMS.of(each.user_id)
            if each.request_id is None:
                claimed = same_user and one.served_at_s <= each.time_s
            else:
                claimed = one.request_id == each.request_id and (same_user or one.user_pseudonym is None)
            if claimed and each.item_id is not None and each.item_id in one.item_ids:
                claims.append((one.served_at_s, row, list(one.item_ids).index(each.item_id)))
        if claims:
            at_s, row, place = max(claims)
            if 0.0 <= each.time_s - at_s <= WINDOW_S:
                met.setdefault((row, place), set()).add((each.kind.value, each.value))
    return met


@settings(max_examples=100)
@given(st.lists(exposures(), max_size=8), st.lists(events(), max_size=12), st.booleans(), st.booleans())
def test_the_join_agrees_with_two_loops(
    shown: list[Exposure], happened: list[Event], overrides: bool, degraded: bool
) -> None:
    lists = oracle_lists(shown)
    met = oracle(lists, happened)
    kinds_of = {
        "clicked": {"click"}, "watched": {"watch"}, "skipped": {"skip"}, "liked": {"like"},
        "chosen": {"click", "watch", "like", "share", "rating"},
    }  # fmt: skip
    wanted = []
    for row, one in enumerate(lists):
        if (one.override and not overrides) or (one.degraded and not degraded):
            continue
        for place, item_id in enumerate(one.item_ids):
            found = met.get((row, place), set())
            kinds = {kind for kind, _ in found}
            values = [value for kind, value in found if kind == "watch" and value is not None]
            flags = [bool(kinds & of) for of in kinds_of.values()]
            position = one.n_shown_before + place + 1
            wanted.append((one.request_id, item_id, position, *flags, max(values, default=None)))
    records = joined(shown, happened, overrides=overrides, degraded=degraded)
    columns = ["request_id", "item_id", "position", *FLAGS, "watch_value"]
    assert records.impressions.select(columns).rows() == wanted
    of_rows = records.lists["request_id"].gather(records.impressions["list_row"])
    assert of_rows.to_list() == records.impressions["request_id"].to_list()


def test_where_keeps_whole_lists() -> None:
    records = joined([served("1"), served("2", items=[]), served("3", who="bob")], [])
    kept = records.where(pl.col("request_id") != "1")
    assert kept.lists["request_id"].to_list() == ["2", "3"]
    assert kept.impressions.select("list_row", "request_id").rows() == [(1, "3"), (1, "3")]
