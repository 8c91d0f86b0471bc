from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.core.errors import FieldError
from recsys.data.impressions import IMPRESSIONS, Target
from recsys.data.log import InteractionLog, Vocabulary
from recsys.data.shown import ShownLog, encode_impressions, with_stops_in

LogOf = Callable[..., InteractionLog]
ITEMS = Vocabulary([f"i{row}" for row in range(6)])


def table(rows: Sequence[tuple[str, str, float, bool]], context: str | None = "tab-1") -> pl.DataFrame:
    """Make impressions of (user, item, time, clicked); nobody measured long views and likes."""
    users, items, times_s, clicked = zip(*rows, strict=True) if rows else ((), (), (), ())
    return pl.DataFrame(
        {
            "user_id": users,
            "item_id": items,
            "time_s": times_s,
            "context": [context] * len(rows),
            "at_random": [False] * len(rows),
            "click": clicked,
            "long_view": [None] * len(rows),
            "like": [None] * len(rows),
        },
        schema=IMPRESSIONS,
    )


@pytest.fixture
def log(log_of: LogOf) -> InteractionLog:
    """u0 chose items 0, 1, 2 at 10, 20, 30 s, u1 item 3 at 15 s."""
    return log_of([[0, 1, 2], [3]], 6, times_s=[[10.0, 20.0, 30.0], [15.0]])


def encoded(rows: Sequence[tuple[str, str, float, bool]], log: InteractionLog, gap_s: float) -> ShownLog:
    return encode_impressions(table(rows), ITEMS, log, gap_s=gap_s)


def test_a_session_ends_with_a_break_and_with_its_user(log: InteractionLog) -> None:
    rows = [
        ("u0", "i0", 0.0, True),
        ("u1", "i3", 4.0, False),
        ("u0", "i1", 5.0, False),
        ("u0", "i2", 10.1, True),
    ]
    shown = encoded(rows, log, gap_s=5.0)
    assert shown.offsets.tolist() == [0, 2, 3, 4]
    assert shown.item_rows.tolist() == [0, 1, 2, 3]
    assert shown.users.tolist() == [0, 0, 1]
    assert (shown.starts_s.tolist(), shown.ends_s.tolist()) == ([0.0, 10.1, 4.0], [5.0, 10.1, 4.0])
    assert shown.answers[Target.CLICK].tolist() == [True, False, True, False]
    assert Target.LONG_VIEW not in shown.answers


def test_the_past_of_a_session_is_strictly_before_its_first_impression(log: InteractionLog) -> None:
    rows = [("u0", "i5", 20.0, False), ("u0", "i2", 30.0, True), ("u0", "i5", 99.0, False)]
    shown = encoded(rows, log, gap_s=15.0)
    assert shown.stops.tolist() == [1, 3]  # the choices at 20 s and 30 s are of the first session or later


def test_a_user_whom_the_log_does_not_know_has_no_past(log: InteractionLog) -> None:
    shown = encoded([("stranger", "i0", 50.0, False), ("u1", "i0", 50.0, False)], log, gap_s=1.0)
    assert shown.log_users.tolist() == [-1, 1]
    assert shown.stops.tolist() == [0, 4]


def test_impressions_of_unknown_items_are_left_out_and_counted(log: InteractionLog) -> None:
    shown = encoded([("u0", "i0", 1.0, True), ("u0", "gone", 2.0, True)], log, gap_s=9.0)
    assert (shown.item_rows.tolist(), shown.n_unknown_items) == ([0], 1)
    with pytest.raises(FieldError, match="impressions"):
        encoded([("u0", "gone", 2.0, True)], log, gap_s=9.0)


def test_equal_contexts_are_one_surface_and_unknown_is_one_too(log: InteractionLog) -> None:
    known, unknown = table([("u0", "i0", 1.0, True)] * 2), table([("u0", "i0", 1.0, True)], context=None)
    shown = encode_impressions(pl.concat([known, unknown]), ITEMS, log)
    assert shown.surfaces[0] == shown.surfaces[1] != shown.surfaces[2]


def test_a_session_of_which_nothing_is_kept_goes(log: InteractionLog) -> None:
    rows = [
        ("u0", "i0", 1.0, True),
        ("u0", "i1", 2.0, False),
        ("u0", "i2", 50.0, True),
        ("u1", "i3", 4.0, False),
    ]
    kept = encoded(rows, log, gap_s=5.0).of_impressions(np.array([False, True, False, True]))
    assert (kept.offsets.tolist(), kept.item_rows.tolist(), kept.users.tolist()) == (
        [0, 1, 2],
        [1, 3],
        [0, 1],
    )
    assert kept.starts_s.tolist() == [1.0, 4.0]
    assert kept.answers[Target.CLICK].tolist() == [False, False]


def test_stops_move_with_the_log_that_they_are_positions_in(log: InteractionLog) -> None:
    rows = [("u0", "i5", 15.0, False), ("u1", "i5", 16.0, False), ("stranger", "i5", 17.0, False)]
    shown = encoded(rows, log, gap_s=0.0)
    assert shown.log_users.tolist() == [-1, 0, 1]
    early = log.select(log.times_s < 18.0)  # u0 has one position left, and u1's only one comes second
    assert with_stops_in(shown, log, early).stops.tolist() == [0, 1, 2]


def test_a_negative_gap_is_refused(log: InteractionLog) -> None:
    with pytest.raises(FieldError, match="gap_s"):
        encoded([("u0", "i0", 1.0, True)], log, gap_s=-1.0)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40)), min_size=1, max_size=20), st.integers(0, 10)
)
def test_nothing_within_a_session_is_in_its_past(
    log_of: LogOf, moments: list[tuple[int, int]], gap_s: int
) -> None:
    log = log_of([[0, 1, 2, 3], [4]], 6, times_s=[[5.0, 5.0, 20.0, 30.0], [15.0]])
    shown = encoded([(f"u{user}", "i0", float(at), False) for user, at in moments], log, float(gap_s))
    assert shown.offsets[-1] == len(moments)
    for user, stop, start_s in zip(shown.log_users, shown.stops, shown.starts_s, strict=True):
        if user < 0:
            assert stop == 0
            continue
        low, high = log.offsets[user], log.offsets[user + 1]
        assert stop == low + np.sum(log.times_s[low:high] < start_s)
