import numpy as np
import polars as pl

from recsys.features.lives import Lives, moments_of, watched_ms
from recsys.features.sessions import GAP_S, SESSION_FEATURES, session_features
from recsys.features.tastes import DAY_FEATURES, NO_TAG, day_features, fit_tags, preferred_tags
from recsys.features.users import ACTIVITY_LIMIT

NOBODY = np.zeros(0, dtype=np.int64)


def one_life(
    times_s: list[float], watched_s: list[float] | None = None, items: list[int] | None = None
) -> Lives:
    n = len(times_s)
    return Lives(
        np.array([0, n]),
        np.array(items if items is not None else [0] * n, dtype=np.int32),
        np.array(times_s, dtype=np.float64),
        np.array([1_000 * seconds for seconds in watched_s or [0] * n], dtype=np.int64),
    )


def at(lives: Lives, now_s: float) -> dict[str, float]:
    moments = moments_of(lives, np.zeros(1, dtype=np.int64), np.array([now_s]))
    return dict(zip(SESSION_FEATURES, session_features(lives, moments)[0].tolist(), strict=True))


def test_a_session_goes_on_until_half_an_hour_without_a_choice() -> None:
    lives = one_life([0.0, 100.0, 5_000.0], [10, 20, 40])
    under_way = {"session_position": 2, "session_age_s": 1_900, "session_watch_s": 30, "n_sessions": 0}
    assert at(lives, 1_900.0).items() >= under_way.items()  # 1,800 s after the last one
    over = at(lives, 1_900.5)
    assert (over["session_position"], over["session_age_s"], over["session_watch_s"]) == (0, 0, 0)
    assert (over["n_sessions"], over["choices_per_session"], over["watch_s_per_session"]) == (1, 2, 30)
    later = at(lives, 5_060.0)
    assert (later["session_position"], later["session_age_s"], later["session_watch_s"]) == (1, 60, 40)
    assert at(lives, 9_000.0)["choices_per_session"] == 1.5
    assert at(lives, 9_000.0)["watch_s_per_session"] == 35


def test_a_choice_at_the_very_moment_is_not_known_yet() -> None:
    assert at(one_life([0.0, 100.0]), 100.0)["session_position"] == 1
    assert at(one_life([0.0, 100.0]), 0.0)["session_position"] == 0


def test_nothing_is_known_of_sessions_before_the_first_is_over() -> None:
    assert np.isnan(at(one_life([]), 5.0)["choices_per_session"])
    assert np.isnan(at(one_life([0.0]), 5.0)["watch_s_per_session"])


def test_sessions_are_those_among_what_user_state_remembers() -> None:
    n = ACTIVITY_LIMIT + 7
    lives = one_life([2 * GAP_S * place for place in range(n)])
    assert at(lives, 2 * GAP_S * n)["n_sessions"] == ACTIVITY_LIMIT


def test_watch_time_is_a_share_of_the_duration_in_whole_milliseconds() -> None:
    shares = np.array([0.5, 2.0, np.nan, 0.5, -1.0, 1e30, np.inf], dtype=np.float32)
    durations_s = np.array([10.0, 0.001, 10.0, np.nan, 10.0, 10.0, 10.0], dtype=np.float32)
    assert watched_ms(shares, durations_s).tolist() == [5_000, 2, 0, 0, 0, 86_400_000, 0]


def test_shares_of_the_day_and_that_of_the_hour_of_the_question() -> None:
    lives = one_life([3_600.0, 7 * 3_600.0, 8 * 3_600.0, 23 * 3_600.0])
    moments = moments_of(lives, np.zeros(1, dtype=np.int64), np.array([86_400.0 + 9 * 3_600.0]))
    shares = dict(zip(DAY_FEATURES, day_features(lives, moments)[0].tolist(), strict=True))
    assert shares == {
        "share_night": 0.25,
        "share_morning": 0.5,
        "share_afternoon": 0.0,
        "share_evening": 0.25,
        "share_now": 0.5,
    }


def test_preferred_tags_are_those_of_most_items_and_then_by_name() -> None:
    tags = fit_tags(pl.Series([["war", "drama"], ["drama"], [], ["comedy", "war"], ["art"]]))
    assert tags.names == ("art", "comedy", "drama", "war")
    lives = one_life([0.0, 1.0, 2.0, 3.0], items=[0, 1, 2, 3])
    users = np.zeros(2, dtype=np.int64)
    rows, shares = preferred_tags(lives, moments_of(lives, users, np.array([9.0, 0.0])), tags)
    assert [tags.names[row] for row in rows[0]] == ["drama", "war", "comedy"]
    assert shares[0].tolist() == [0.5, 0.5, 0.25]
    assert rows[1].tolist() == [NO_TAG] * 3
    assert shares[1].tolist() == [0.0] * 3


def test_a_catalogue_without_tags_prefers_none() -> None:
    lives = one_life([0.0], items=[0])
    tags = fit_tags(pl.Series([[], []], dtype=pl.List(pl.String())))
    rows, _ = preferred_tags(lives, moments_of(lives, np.zeros(1, dtype=np.int64), np.array([1.0])), tags)
    assert rows.tolist() == [[NO_TAG] * 3]
