from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from recsys.core.clock import SECONDS_PER_DAY, SECONDS_PER_HOUR, SECONDS_PER_YEAR
from recsys.features import pairs
from recsys.features.items import ItemTable
from recsys.features.popularity import PopularityTable
from recsys.features.statistics import ItemStatistics
from recsys.features.users import ACTIVITY_LIMIT, NO_ITEM, UserBatch

UsersOf = Callable[..., UserBatch]

DAY, YEAR = SECONDS_PER_DAY, SECONDS_PER_YEAR
NAN = float("nan")
ITEMS = ItemTable(
    tag_vectors=np.zeros((4, 1), dtype=np.float32),
    creator_rows=np.array([0, 0, 1, -1], dtype=np.int32),
    published_s=np.array([0.0, 10 * YEAR, 20 * YEAR, NAN]),
    duration_s=np.array([0.0, np.e - 1, np.e**3 - 1, NAN], dtype=np.float32),
    available=np.ones(4, dtype=np.bool_),
)
STATISTICS = ItemStatistics(
    first_seen_s=np.array([0.0, 3 * DAY, 9 * DAY, NAN]),
    mean_log_position=np.array([0.5, 1.0, 1.5, NAN], dtype=np.float32),
)
TABLE = PopularityTable(
    moments_s=np.array([-np.inf, 100.0]),
    levels=np.array([np.zeros((2, 4)), [[1.0, 2.0, 3.0, 0.0], [5.0, 6.0, 7.0, 8.0]]], dtype=np.float32),
)
ALL = np.arange(4, dtype=np.int32)[None, :]


def values(feature: NDArray[np.float32]) -> list[float]:
    assert feature.dtype == np.float32
    assert len(feature) == 1
    return [float(value) for value in feature[0]]


def close(*expected: float) -> object:
    return pytest.approx(list(expected), rel=1e-5, abs=1e-6, nan_ok=True)


def test_popularity_is_that_of_the_moment_of_the_question(users_of: UsersOf) -> None:
    early, late = users_of([[]], now_s=99.0), users_of([[]], now_s=100.0)
    assert values(pairs.popularity(early, ALL, TABLE, 0)) == [0.0, 0.0, 0.0, 0.0]
    assert values(pairs.popularity(late, ALL, TABLE, 0)) == [1.0, 2.0, 3.0, 0.0]
    assert values(pairs.popularity(late, ALL, TABLE, 1)) == [5.0, 6.0, 7.0, 8.0]


def test_the_popularity_of_a_history_is_its_mean(users_of: UsersOf) -> None:
    assert values(pairs.history_popularity(users_of([[0, 2]]), TABLE, 0)) == close(2.0)
    assert values(pairs.history_popularity(users_of([[]]), TABLE, 0)) == close(NAN)


def test_days_since_publication_are_zero_before_it_and_nan_when_unknown(users_of: UsersOf) -> None:
    users = users_of([[]], now_s=10 * YEAR + 7 * DAY)
    expected = close(np.log1p(10 * 365.25 + 7), np.log(8.0), 0.0, NAN)
    assert values(pairs.days_since_published(users, ALL, ITEMS)) == expected


def test_days_since_anybody_touched_an_item(users_of: UsersOf) -> None:
    users = users_of([[]], now_s=4 * DAY)
    expected = close(np.log(5.0), np.log(2.0), 0.0, NAN)
    assert values(pairs.days_since_first_seen(users, ALL, STATISTICS)) == expected


def test_years_from_taste_are_measured_from_the_mean_year_of_the_history(users_of: UsersOf) -> None:
    users = users_of([[0, 1, 3]])  # the year of item 3 is unknown: it does not count
    assert values(pairs.years_from_taste(users, ALL, ITEMS)) == close(-5.0, 5.0, 15.0, NAN)
    assert values(pairs.years_from_taste(users_of([[]]), ALL, ITEMS)) == close(NAN, NAN, NAN, NAN)


def test_durations_are_logarithms_and_compared_with_the_mean_of_the_history(users_of: UsersOf) -> None:
    assert values(pairs.log_duration(ALL, ITEMS)) == close(0.0, 1.0, 3.0, NAN)
    assert values(pairs.duration_from_taste(users_of([[1, 2]]), ALL, ITEMS)) == close(-2.0, -1.0, 1.0, NAN)


def test_the_creator_share_counts_the_latest_items_alone(users_of: UsersOf) -> None:
    assert values(pairs.creator_share(users_of([[0, 1, 2, 3]]), ALL, ITEMS)) == close(0.5, 0.5, 0.25, 0.0)
    assert values(pairs.creator_share(users_of([[0, 2]]), ALL, ITEMS, length=1)) == close(0.0, 0.0, 1.0, 0.0)
    assert values(pairs.creator_share(users_of([[]]), ALL, ITEMS)) == close(0.0, 0.0, 0.0, 0.0)


def test_how_late_an_item_is_met(users_of: UsersOf) -> None:
    assert values(pairs.mean_log_position(ALL, STATISTICS)) == close(0.5, 1.0, 1.5, NAN)


def test_activity_is_the_logarithm_of_what_is_remembered(users_of: UsersOf) -> None:
    assert values(pairs.activity(users_of([[0, 1, 2]]))) == close(np.log(4.0))
    assert values(pairs.activity(users_of([[]]))) == [0.0]
    assert values(pairs.activity(users_of([[0] * 500]))) == close(np.log1p(ACTIVITY_LIMIT))


def test_days_since_the_last_item_and_the_one_before(users_of: UsersOf) -> None:
    users = users_of([[0, 1]], times_s=[[0.0, 6 * DAY]], now_s=7 * DAY)
    assert values(pairs.days_since_last(users)) == close(np.log(2.0))
    assert values(pairs.days_since_last(users, back=1)) == close(np.log(8.0))
    assert values(pairs.days_since_last(users, back=2)) == close(NAN)


def test_an_item_from_a_clock_that_runs_ahead_is_no_days_ago(users_of: UsersOf) -> None:
    users = users_of([[0]], times_s=[[9 * DAY]], now_s=DAY)
    assert values(pairs.days_since_last(users)) == [0.0]


def test_the_hour_of_the_question_in_utc(users_of: UsersOf) -> None:
    assert values(pairs.hour_of_day(users_of([[]], now_s=3 * DAY + 18.5 * SECONDS_PER_HOUR))) == [18.5]


def test_padded_candidates_do_no_harm(users_of: UsersOf) -> None:
    padded = np.array([[1, NO_ITEM]], dtype=np.int32)
    assert values(pairs.creator_share(users_of([[0]]), padded, ITEMS))[0] == 1.0
    assert values(pairs.popularity(users_of([[0]]), padded, TABLE, 0))[0] == 2.0
