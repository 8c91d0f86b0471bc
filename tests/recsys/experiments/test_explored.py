from collections.abc import Sequence

import polars as pl
import pytest

from recsys.core.errors import FieldError
from recsys.core.pseudonyms import Pseudonyms
from recsys.data.events import Event, EventKind
from recsys.eventlog.exposure import Exposure, chunk_of, frame_of
from recsys.experiments.explored import EXPLORED, explored_places, logged_choices
from recsys.experiments.feedback import join_feedback
from recsys.experiments.reactions import reactions_of, usable

PSEUDONYMS = Pseudonyms(b"k" * 32)


def served(
    request_id: str,
    at_s: float,
    items: Sequence[str],
    *,
    who: str | None = "ada",
    rank: int | None = 2,
    choices: Sequence[str] = ("b", "c", "d"),
    chances: Sequence[float] = (0.5, 0.25, 0.25),
) -> Exposure:
    return Exposure(
        request_id, at_s, None if who is None else PSEUDONYMS.of(who), "stable", "b", "recommend", "home", 0,
        override=False, cached=False, degraded=[], item_ids=items, scores=[1.0] * len(items),
        sources=["svd"] * len(items), propensities=[1.0] * len(items), explored_rank=rank,
        choices=choices if rank else (), chances=chances if rank else (),
    )  # fmt: skip


def watch(request_id: str, item_id: str, at_s: float, who: str = "ada") -> Event:
    return Event(
        event_id=f"{request_id}{item_id}", user_id=who, kind=EventKind.WATCH, time_s=at_s, item_id=item_id,
        request_id=request_id,
    )  # fmt: skip


def places(
    exposures: Sequence[Exposure], events: Sequence[Event], metric: str = "watch_rate"
) -> pl.DataFrame:
    lists = frame_of([chunk_of(exposures)]).lazy()
    return explored_places(lists, join_feedback(lists, usable(reactions_of(events, PSEUDONYMS))), metric)


LISTS = [
    served("r1", 10.0, ["a", "c"]),
    served("r2", 20.0, ["a", "b"], who="bob"),
    served("r3", 30.0, ["a", "b"], rank=None),
    served("r4", 40.0, ["e", "b"], rank=1, choices=("e", "f"), chances=(0.5, 0.5), who=None),
]
EVENTS = [
    watch("r1", "c", 11.0),
    watch("r1", "a", 12.0),
    watch("r2", "a", 21.0, "bob"),
    watch("r3", "b", 31.0),
]


def test_a_row_per_list_that_explored_says_what_stood_there_and_what_came_of_it() -> None:
    found = places(LISTS, EVENTS)
    assert found.schema == EXPLORED
    rows = found.select("request_id", "item_id", "rank", "reward", "context").rows()
    assert rows == [("r1", "c", 2, 1.0, "home"), ("r2", "b", 2, 0.0, "home"), ("r4", "e", 1, 0.0, "home")]
    assert found["user_pseudonym"].to_list() == [PSEUDONYMS.of("ada"), PSEUDONYMS.of("bob"), None]
    assert found["unit"][2] == "r4"


def test_the_rows_become_choices_with_their_chances() -> None:
    found = logged_choices(places(LISTS, EVENTS))
    assert found.offsets.tolist() == [0, 3, 6, 8]
    assert found.chances.tolist() == [0.5, 0.25, 0.25, 0.5, 0.25, 0.25, 0.5, 0.5]
    assert found.chosen.tolist() == [1, 3, 6]
    assert found.rewards.tolist() == [1.0, 0.0, 0.0]
    assert len(set(found.units.tolist())) == 3


def test_a_list_that_shows_another_item_than_its_choices_is_refused() -> None:
    with pytest.raises(FieldError, match="shows another item"):
        logged_choices(places([served("r1", 1.0, ["a", "z"])], []))


def test_a_metric_that_nobody_measures_is_refused() -> None:
    with pytest.raises(FieldError, match="watch_rate"):
        places(LISTS, EVENTS, "joy")


def test_lists_that_explored_can_be_left_out_of_statistics() -> None:
    lists = frame_of([chunk_of(LISTS)]).lazy()
    reactions = usable(reactions_of(EVENTS, PSEUDONYMS))
    kept = join_feedback(lists, reactions, explored=False)
    assert kept.lists["request_id"].to_list() == ["r3"]
    assert join_feedback(lists, reactions).lists.height == 4
