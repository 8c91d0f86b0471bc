import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.core.pseudonyms import Pseudonyms
from recsys.data.events import Event, EventKind
from recsys.eventlog.entry import Entry, Erasure
from recsys.eventlog.exposure import Exposure, chunk_of, frame_of
from recsys.eventlog.exposure_files import exposure_files, write_exposures
from recsys.eventlog.exposure_reader import forget_exposures, scan_exposures
from recsys.eventlog.writer import EventLogWriter
from recsys.experiments.feedback import join_feedback
from recsys.experiments.follower import ArmTally, Follower, Tally
from recsys.experiments.reactions import reactions_of, usable

PSEUDONYMS = Pseudonyms(b"k" * 32)
NOON_S = 1_000_000.0
LATER_S = NOON_S + 10_000.0  # everything is settled
PATIENCE_S = 60.0


def served(
    request_id: str,
    after_s: float = 0.0,
    who: str | None = "ada",
    items: Sequence[str] = ("a", "b"),
    *,
    arm: str = "stable",
    override: bool = False,
    call: str = "recommend",
    teams: Sequence[str] = (),
) -> Exposure:
    return Exposure(
        request_id, NOON_S + after_s, None if who is None else PSEUDONYMS.of(who), arm, "b", call, None, 0,
        override=override, cached=False, degraded=[], item_ids=items, scores=[1.0] * len(items),
        sources=["svd"] * len(items), propensities=[1.0] * len(items), teams=teams,
    )  # fmt: skip


def reacted(
    kind: EventKind = EventKind.WATCH,
    item_id: str | None = "a",
    after_s: float = 1.0,
    who: str = "ada",
    *,
    event_id: str = "e",
    request_id: str | None = None,
    retracts: str | None = None,
) -> Event:
    return Event(
        event_id=event_id, user_id=who, kind=kind, time_s=NOON_S + after_s, item_id=item_id,
        request_id=request_id, retracts=retracts,
    )  # fmt: skip


skip = partial(reacted, EventKind.SKIP)


@dataclass
class Place:
    """Folders as routers and the intake fill them."""

    folder: Path
    n_files: int = 0
    follower: Follower = field(init=False)

    def __post_init__(self) -> None:
        self.follower = self.another()

    def another(self, *, max_lists: int = 1_000, max_coverage_lists: int = 1_000) -> Follower:
        return Follower(
            self.folder / "exposures",
            self.folder / "log",
            PSEUDONYMS,
            window_s=1_000.0,
            patience_s=PATIENCE_S,
            max_lists=max_lists,
            max_coverage_lists=max_coverage_lists,
        )

    def serve(self, *exposures: Exposure) -> Path:
        self.n_files += 1
        return write_exposures(self.folder / "exposures", "w", self.n_files, frame_of([chunk_of(exposures)]))

    def happen(self, *entries: Entry) -> None:
        with EventLogWriter(self.folder / "log", "w") as log:
            log.append_durably(entries)

    def arms(self, since_s: float = NOON_S, now_s: float = LATER_S) -> dict[str, ArmTally]:
        return dict(self.follower.tally(since_s, now_s).arms)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_nothing_served_is_no_arm_and_no_time(place: Place) -> None:
    tally = place.follower.tally(NOON_S, LATER_S)
    assert (dict(tally.arms), tally.as_of_s, tally.read_at_s) == ({}, None, LATER_S)
    assert tally.units.is_empty()


def test_an_arm_is_counted_by_lists_users_impressions_and_what_became_of_them(place: Place) -> None:
    place.serve(served("1"), served("2", 5.0), served("3", 6.0, "bob", ["c"], arm="canary"))
    place.happen(
        reacted(request_id="1", event_id="1"),
        reacted(request_id="1", event_id="2"),  # the same impression again
        skip("b", 6.0, request_id="2", event_id="3"),
        reacted(EventKind.CLICK, "c", 7.0, "bob", event_id="4"),
    )
    tally = place.follower.tally(NOON_S, LATER_S)
    assert tally.arms == {
        "stable": ArmTally(1, 2, 4, 0, 1, 1, distinct_items=2),
        "canary": ArmTally(1, 1, 1, 1, 0, 0, distinct_items=1),
    }
    assert tally.units.rows() == [("stable", 2, 4, 0, 1, 1, 0, 0), ("canary", 1, 1, 1, 0, 0, 0, 0)]
    assert (tally.as_of_s, tally.since_s, tally.n_crossed) == (NOON_S + 6.0, NOON_S, 0)


def test_what_comes_later_is_added_whichever_comes_first(place: Place) -> None:
    place.happen(reacted(request_id="1"))
    assert place.arms(now_s=NOON_S + 2.0) == {}
    place.serve(served("1"))  # exposures reach the disk later than events
    assert place.arms(now_s=NOON_S + 10.0)["stable"].watches == 1
    place.happen(skip("b", request_id="1", event_id="2"))
    assert place.arms(now_s=NOON_S + 12.0)["stable"].skips == 1
    place.serve(served("2", 1.0))
    assert place.arms(now_s=NOON_S + 14.0)["stable"].lists == 2


def test_a_reaction_that_names_no_request_waits_until_no_later_list_can_come(place: Place) -> None:
    place.serve(served("1", 0.0, arm="canary"))
    place.happen(reacted(after_s=8.0))
    assert place.arms(now_s=NOON_S + 8.0 + PATIENCE_S - 1.0)["canary"].watches == 0
    place.serve(served("2", 7.0, items=["a"]))
    place.serve(served("3", 7.5, items=["b"]))
    units = place.follower.tally(NOON_S, NOON_S + 8.0 + PATIENCE_S).units
    assert units["watches"].to_list() == [1]
    place.serve(served("0", -1.0))
    assert place.follower.tally(NOON_S + 5.0, LATER_S).arms["stable"].watches == 1  # of the second list


def test_a_reaction_whose_list_never_comes_is_let_go(place: Place) -> None:
    place.happen(reacted(request_id="1"))
    for now_s in (NOON_S + 2.0, NOON_S + 2.0 + PATIENCE_S):
        assert place.arms(now_s=now_s) == {}
    place.serve(served("1"))
    assert place.arms()["stable"].watches == 0


def test_a_reaction_after_the_window_does_not_count(place: Place) -> None:
    place.serve(served("1", who=None))
    place.happen(reacted(after_s=1_000.0, request_id="1"), skip("b", 1_000.5, request_id="1", event_id="2"))
    assert (place.arms()["stable"].watches, place.arms()["stable"].skips) == (1, 0)


def test_what_an_erased_user_did_to_a_list_made_for_nobody_is_not_used(place: Place) -> None:
    place.serve(served("1", who=None))
    place.happen(reacted(request_id="1"), Erasure(user_id="ada", at_s=NOON_S + 5.0))
    assert (place.arms()["stable"].lists, place.arms()["stable"].watches) == (1, 0)


def test_lists_with_a_chosen_arm_are_left_out_with_their_reactions(place: Place) -> None:
    place.serve(served("1"), served("2", 1.0, override=True), served("3", 2.0, call="popular"))
    place.happen(reacted(after_s=3.0))
    assert place.arms()["stable"] == ArmTally(1, 1, 2, 0, 0, 0, distinct_items=2)


def test_a_unit_that_two_arms_served_belongs_to_the_first_and_is_counted(place: Place) -> None:
    place.serve(served("2", 5.0, arm="canary"), served("1"), served("3", who=None, arm="canary"))
    tally = place.follower.tally(NOON_S, LATER_S)
    assert {arm: (each.units, each.lists) for arm, each in tally.arms.items()} == {
        "stable": (1, 2),
        "canary": (1, 1),
    }
    assert tally.n_crossed == 1


def test_only_lists_since_the_time_asked_for_count_forwards_and_back(place: Place) -> None:
    place.serve(served("1", 0.0), served("2", 5.0))
    place.serve(served("3", 9.0))
    place.happen(reacted(request_id="1"), reacted(request_id="3", after_s=9.5, event_id="2"))
    for since_s, lists, watches in ((0.0, 3, 2), (5.0, 2, 1), (9.0, 1, 1), (0.0, 3, 2)):
        found = place.arms(NOON_S + since_s)["stable"]
        assert (found.lists, found.watches) == (lists, watches)


def test_coverage_is_of_equally_many_lists_of_each_arm_the_first_ones(place: Place) -> None:
    place.serve(
        served("1", 0.0, items=["a", "b"]),
        served("2", 1.0, items=["b"]),
        served("3", 2.0, items=["c"]),
        served("4", 3.0, "bob", ["x"], arm="canary"),
        served("5", 4.0, "bob", [], arm="canary"),
    )
    tally = place.follower.tally(NOON_S, LATER_S)
    assert tally.coverage_lists == 2
    assert {arm: each.distinct_items for arm, each in tally.arms.items()} == {"stable": 2, "canary": 1}
    few = place.another(max_coverage_lists=1).tally(NOON_S, LATER_S)
    assert few.coverage_lists == 1


def test_a_retraction_and_an_erasure_work_on_what_was_counted_before(place: Place) -> None:
    place.serve(served("1"), served("2", who="bob"))
    place.happen(reacted(event_id="1"), reacted(event_id="1", who="bob"))
    assert place.arms()["stable"].watches == 2
    place.happen(reacted(EventKind.RETRACTION, None, 3.0, event_id="2", retracts="1"))
    assert place.arms()["stable"].watches == 1
    place.happen(Erasure(user_id="bob", at_s=NOON_S + 5.0))
    assert place.arms()["stable"] == ArmTally(1, 1, 2, 0, 0, 0, distinct_items=2)
    place.serve(served("3", 6.0, "bob"))  # after the erasure
    assert place.arms()["stable"].lists == 2


def test_a_file_that_was_rewritten_is_read_again_and_one_that_was_removed_counts_no_more(
    place: Place,
) -> None:
    place.serve(served("1"), served("2", who="bob"))
    second = place.serve(served("3", 1.0))
    place.happen(reacted(request_id="1", event_id="1"), reacted(request_id="2", who="bob", event_id="2"))
    assert (place.arms()["stable"].lists, place.arms()["stable"].watches) == (3, 2)
    forget_exposures(place.folder / "exposures", {PSEUDONYMS.of("bob"): NOON_S})
    assert (place.arms()["stable"].lists, place.arms()["stable"].watches) == (2, 1)
    second.unlink()
    assert (place.arms()["stable"].lists, place.arms()["stable"].watches) == (1, 1)


def test_a_file_is_read_once(place: Place) -> None:
    path = place.serve(served("1"))
    assert place.arms()["stable"].lists == 1
    found = path.stat()
    path.write_bytes(b"x" * found.st_size)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))  # as if nothing had happened
    assert place.arms()["stable"].lists == 1
    os.utime(path)
    tally = place.follower.tally(NOON_S, LATER_S)
    assert (dict(tally.arms), tally.n_unreadable) == ({}, 1)


def test_beyond_its_limit_it_lets_the_oldest_files_go_and_says_so(place: Place) -> None:
    for number in range(4):
        place.serve(served(f"{number}a", 10.0 * number), served(f"{number}b", 10.0 * number + 1.0))
    follower = place.another(max_lists=5)
    tally = follower.tally(NOON_S, LATER_S)
    assert tally.arms["stable"].lists == 4
    assert NOON_S + 11.0 < tally.since_s < NOON_S + 20.0
    for file in exposure_files(place.folder / "exposures")[:2]:
        file.path.write_bytes(b"never opened again")
    again = follower.tally(NOON_S, LATER_S)
    assert (again.arms, again.n_unreadable) == (tally.arms, 0)


few_seconds = st.integers(0, 9).map(float)
whose = st.sampled_from(["ada", "bob"])


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Exposure], list[Event]]:
    exposures = [
        served(
            f"r{number}",
            draw(few_seconds),
            draw(st.none() | whose),
            draw(st.lists(st.sampled_from("abc"), max_size=3, unique=True)),
            arm=draw(st.sampled_from(["stable", "canary"])),
            override=draw(st.booleans()),
        )
        for number in range(draw(st.integers(1, 6)))
    ]
    named = st.sampled_from([each.request_id for each in exposures])
    events = [
        reacted(
            draw(st.sampled_from([EventKind.WATCH, EventKind.SKIP, EventKind.CLICK])),
            draw(st.sampled_from("abc")),
            draw(few_seconds),
            draw(whose),
            event_id=f"e{number}",
            request_id=draw(st.none() | named),
        )
        for number in range(draw(st.integers(0, 6)))
    ]
    for number in range(draw(st.integers(0, 2))):
        undone = draw(st.sampled_from(["e0", "e1"]))
        who = draw(whose)
        events.append(reacted(EventKind.RETRACTION, None, 9.0, who, event_id=f"u{number}", retracts=undone))
    return exposures, draw(st.permutations(events))


def whole(place: Place, events: Sequence[Event]) -> list[tuple[object, ...]]:
    """The tally of the batch join, for each arm."""
    reactions = usable(reactions_of(events, PSEUDONYMS))
    shown = join_feedback(scan_exposures(place.folder / "exposures"), reactions, window_s=1_000.0)
    first = dict(reversed(shown.lists.select("unit", "arm").rows()))
    arms: dict[str, list[int]] = {}
    for unit, arm in first.items():
        mine = shown.where(pl.col("unit") == unit)
        counts = [1, mine.lists.height, mine.impressions.height]
        counts += [int(mine.impressions[flag].sum()) for flag in ("clicked", "watched", "skipped")]
        arms[arm] = [a + b for a, b in zip(arms.get(arm, [0] * 6), counts, strict=True)]
    return sorted((arm, *counts) for arm, counts in arms.items())


def as_rows(tally: Tally) -> list[tuple[object, ...]]:
    return sorted(
        (arm, each.units, each.lists, each.impressions, each.clicks, each.watches, each.skips)
        for arm, each in tally.arms.items()
    )


@settings(max_examples=40)
@given(histories(), st.randoms(use_true_random=False))
def test_asked_again_and_again_it_says_what_one_join_of_everything_says(
    tmp_path_factory: pytest.TempPathFactory, history: tuple[list[Exposure], list[Event]], chance: Random
) -> None:
    place = Place(tmp_path_factory.mktemp("place"))
    exposures, events = history
    coming: list[Exposure | Event] = [*exposures, *events]
    chance.shuffle(coming)
    for each in coming:
        if isinstance(each, Exposure):
            place.serve(each)
        else:
            place.happen(each)
        if chance.random() < 0.4:
            place.follower.tally(NOON_S, NOON_S)
    wanted = whole(place, events)
    assert as_rows(place.follower.tally(NOON_S, LATER_S)) == wanted
    assert as_rows(place.another().tally(NOON_S, LATER_S)) == wanted  # begun again


def test_of_interleaved_lists_it_counts_whose_picks_were_chosen(place: Place) -> None:
    teams = ("canary", "stable", "stable")
    place.serve(
        served("r1", arm="interleaved", items=("a", "b", "c"), teams=teams),
        served("r2", 1.0, arm="interleaved", items=("a", "b", "c")),  # the other half was missing
    )
    place.happen(
        reacted(event_id="1", item_id="a", request_id="r1"),
        reacted(EventKind.CLICK, "a", event_id="2", request_id="r1"),  # the same item: chosen once
        reacted(event_id="3", item_id="c", request_id="r1"),
        skip("b", event_id="4", request_id="r1"),
        reacted(event_id="5", item_id="b", after_s=2.0, request_id="r2"),
    )
    tally = place.follower.tally(NOON_S, LATER_S)
    assert tally.units.select("arm", "drafted_chosen", "drafted_canary").rows() == [("interleaved", 2, 1)]
