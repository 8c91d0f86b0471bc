"""Features of a user and an item that need no recall model. Each is computed here and nowhere else.

Every function takes a batch of users and item rows of shape (users, items) and returns float32 of that shape,
or of shape (users, 1) when the item does not matter. A value that is not known is nan: the trees learn what
that means.
"""

import numpy as np
from numpy.typing import NDArray

from recsys.core.clock import SECONDS_PER_DAY, SECONDS_PER_HOUR
from recsys.core.compiled import compiled
from recsys.features.items import ItemTable
from recsys.features.popularity import PopularityTable
from recsys.features.statistics import ItemStatistics
from recsys.features.users import UserBatch

Feature = NDArray[np.float32]
Rows = NDArray[np.int32]


def popularity(users: UserBatch, item_rows: Rows, table: PopularityTable, half_life_row: int) -> Feature:
    """Return log(1 + decayed count / mean decayed count) as of the moment of the question."""
    levels = np.empty(item_rows.shape, dtype=np.float32)
    _look_up_levels(table.levels[:, half_life_row], table.snapshot_rows(users.now_s), item_rows, levels)
    return levels


def history_popularity(users: UserBatch, table: PopularityTable, half_life_row: int) -> Feature:
    """Return the mean popularity of the history: does this user like hits? Shape (users, 1)."""
    return _mean_of_history(users, popularity(users, users.history_rows, table, half_life_row))


def days_since_published(users: UserBatch, item_rows: Rows, items: ItemTable) -> Feature:
    """Return log(1 + days) since the item was published; 0 before that."""
    return _log_days(users, item_rows, items.published_s)


def days_since_first_seen(users: UserBatch, item_rows: Rows, statistics: ItemStatistics) -> Feature:
    """Return log(1 + days) since anybody first touched the item; 0 before that."""
    return _log_days(users, item_rows, statistics.first_seen_s)


def years_from_taste(users: UserBatch, item_rows: Rows, items: ItemTable) -> Feature:
    """Return the item's year of publication less the mean year of the history, in years."""
    years = items.published_years
    return years[item_rows] - _mean_of_history(users, years[users.history_rows])


def log_duration(item_rows: Rows, items: ItemTable) -> Feature:
    """Return log(1 + seconds)."""
    return items.log_durations[item_rows]


def duration_from_taste(users: UserBatch, item_rows: Rows, items: ItemTable) -> Feature:
    """Return the log duration less the mean log duration of the history."""
    return log_duration(item_rows, items) - _mean_of_history(users, log_duration(users.history_rows, items))


def creator_share(users: UserBatch, item_rows: Rows, items: ItemTable, length: int = 20) -> Feature:
    """Return which share of the latest ``length`` items has the same creator as the item."""
    shares = np.empty(item_rows.shape, dtype=np.float32)
    _share_creators(items.creator_rows, users.history_rows, item_rows, length, shares)
    return shares


def mean_log_position(item_rows: Rows, statistics: ItemStatistics) -> Feature:
    """Return how late in their lives users meet the item: mean log(1 + items before it)."""
    return np.asarray(statistics.mean_log_position[item_rows], dtype=np.float32)


def activity(users: UserBatch) -> Feature:
    """Return log(1 + positive items, counted up to ACTIVITY_LIMIT), shape (users, 1)."""
    return np.log1p(users.n_positive).astype(np.float32)[:, None]


def days_since_last(users: UserBatch, back: int = 0) -> Feature:
    """Return log(1 + days) since the item ``back`` places before the latest, shape (users, 1)."""
    days = (users.now_s - users.history_times_s[:, back]) / SECONDS_PER_DAY
    known = users.history_rows[:, back] >= 0
    return np.where(known, np.log1p(np.maximum(days, 0.0)), np.nan).astype(np.float32)[:, None]


def hour_of_day(users: UserBatch) -> Feature:
    """Return the hour of the question, UTC, in [0, 24), shape (users, 1)."""
    return ((users.now_s % SECONDS_PER_DAY) / SECONDS_PER_HOUR).astype(np.float32)[:, None]


def _log_days(users: UserBatch, item_rows: Rows, moments_s: NDArray[np.float64]) -> Feature:
    found = np.empty(item_rows.shape, dtype=np.float32)
    _count_log_days(users.now_s, moments_s, item_rows, found)
    return found


def _mean_of_history(users: UserBatch, values: Feature) -> Feature:
    """Return the mean of those values, shape (users, history), that are known; shape (users, 1)."""
    means = np.empty((len(users), 1), dtype=np.float32)
    _average(users.history_rows, values, means)
    return means


@compiled
def _look_up_levels(
    levels: NDArray[np.float32], moments: NDArray[np.intp], item_rows: Rows, found: Feature
) -> None:
    for user in range(len(item_rows)):
        of_moment = levels[moments[user]]
        for column in range(item_rows.shape[1]):
            row = item_rows[user, column]
            found[user, column] = of_moment[row] if row >= 0 else np.float32(0.0)


@compiled
def _count_log_days(
    now_s: NDArray[np.float64], moments_s: NDArray[np.float64], item_rows: Rows, found: Feature
) -> None:
    for user in range(len(item_rows)):
        for column in range(item_rows.shape[1]):
            days = (now_s[user] - moments_s[item_rows[user, column]]) / SECONDS_PER_DAY
            found[user, column] = np.log1p(0.0 if days < 0.0 else days)  # nan stays nan


@compiled
def _share_creators(
    creator_rows: Rows, history_rows: Rows, item_rows: Rows, length: int, shares: Feature
) -> None:
    of_history = np.empty(length, dtype=np.int32)
    for user in range(len(item_rows)):
        n = 0
        while n < length and history_rows[user, n] >= 0:
            of_history[n] = creator_rows[history_rows[user, n]]
            n += 1
        for column in range(item_rows.shape[1]):
            creator = creator_rows[item_rows[user, column]]
            same = 0
            if creator >= 0:
                for age in range(n):
                    same += of_history[age] == creator
            shares[user, column] = same / max(n, 1)


@compiled
def _average(history_rows: Rows, values: Feature, means: Feature) -> None:
    for user in range(len(history_rows)):
        total, n_known = np.float32(0.0), 0
        for age in range(history_rows.shape[1]):
            if history_rows[user, age] < 0:
                break
            if not np.isnan(values[user, age]):
                total += values[user, age]
                n_known += 1
        means[user, 0] = total / n_known if n_known else np.nan
