import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.core.errors import ShapeError
from recsys.features.windows import WINDOWS_HOURS, RecentPlays, item_windows, plays_of

HOUR_S = 3_600.0
IDS = ["a", "b"]


def changes(plays: list[tuple[str, float]]) -> pl.DataFrame:
    schema = {"item_id": pl.String(), "time_s": pl.Float64()}
    return item_windows(plays_of(pl.DataFrame(plays, schema=schema, orient="row")))


def test_a_play_counts_from_the_next_full_hour_until_each_window_has_passed() -> None:
    found = changes([("a", 10.0), ("a", HOUR_S - 1.0), ("a", 2 * HOUR_S)])
    assert [tuple(row) for row in found.drop("item_id").iter_rows()] == [
        (1 * HOUR_S, 2, 2, 2),
        (2 * HOUR_S, 0, 2, 2),
        (3 * HOUR_S, 1, 3, 3),
        (4 * HOUR_S, 0, 3, 3),
        (25 * HOUR_S, 0, 1, 3),
        (27 * HOUR_S, 0, 0, 3),
        (169 * HOUR_S, 0, 0, 1),
        (171 * HOUR_S, 0, 0, 0),
    ]


@given(
    st.lists(st.tuples(st.sampled_from(IDS), st.integers(0, 900)), max_size=30),
    st.lists(st.integers(0, 1_200), min_size=1, max_size=6),
)
def test_the_server_counts_what_the_table_says_at_any_moment(
    plays: list[tuple[str, int]], asked: list[int]
) -> None:
    times = [(item, quarter * HOUR_S / 4) for item, quarter in plays]
    table = changes(times)
    server, left = RecentPlays(len(IDS), 0.0), sorted(times, key=lambda play: play[1])
    for quarter in sorted(asked):
        now_s = quarter * HOUR_S / 4 + 1.0
        while left and left[0][1] <= now_s:
            item, time_s = left.pop(0)
            place = np.array([IDS.index(item)], dtype=np.int32)
            assert server.add(place, np.array([time_s]), now_s=time_s) == 1
        found = server.windows(np.arange(2, dtype=np.int32), now_s=now_s)
        for row, item in enumerate(IDS):
            past = table.filter((pl.col("item_id") == item) & (pl.col("time_s") <= now_s))
            expected = past.select(*WINDOWS_HOURS).row(-1) if past.height else (0, 0, 0)
            assert tuple(found[row].tolist()) == expected


def test_plays_from_too_long_ago_or_too_far_ahead_are_not_counted() -> None:
    now_s = 1_000 * HOUR_S
    server = RecentPlays(1, now_s)
    rows = np.zeros(4, dtype=np.int32)
    times_s = now_s + np.array([-169.0, -168.0, 24.0, 25.0]) * HOUR_S
    assert server.add(rows, times_s, now_s=now_s) == 2
    assert server.windows(rows[:1], now_s=now_s).tolist() == [[0, 0, 1]]
    assert server.windows(rows[:1], now_s=now_s + 25 * HOUR_S).tolist() == [[1, 1, 1]]


def test_after_years_of_silence_nothing_counts() -> None:
    server = RecentPlays(1, 0.0)
    server.add(np.zeros(1, dtype=np.int32), np.zeros(1), now_s=0.0)
    assert server.windows(np.zeros(1, dtype=np.int32), now_s=1e9).tolist() == [[0, 0, 0]]


def test_one_time_per_play() -> None:
    with pytest.raises(ShapeError, match="times_s"):
        RecentPlays(1, 0.0).add(np.zeros(2, dtype=np.int32), np.zeros(1), now_s=0.0)
