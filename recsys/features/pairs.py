"""Features of a user and an item that need no recall model. Each is computed here and nowhere else.

Every function takes a batch of users and item rows of shape (users, items) and returns float32 of that shape,
or of shape (users, 1) when the item does not matter. A value that is not known is nan: the trees learn what
that means.
"""

import numpy as np
from numpy.typing import NDArray

from recsys.core.clock import SECONDS_PER_DAY, SECONDS_PER_HOUR
from recsys.features.items import ItemTable
from recsys.features.popularity import PopularityTable
from recsys.features.statistics import ItemStatistics
from recsys.features.users import UserBatch

Feature = NDArray[np.float32]
Rows = NDArray[np.int32]

SECONDS_PER_YEAR = 365.25 * SECONDS_PER_DAY


def popularity(users: UserBatch, item_rows: Rows, table: PopularityTable, half_life_row: int) -> Feature:
    """Return log(1 + decayed count / mean decayed count) as of the moment of the question."""
    moments = table.snapshot_rows(users.now_s)[:, None]
    return np.asarray(table.levels[moments, half_life_row, item_rows], dtype=np.float32)


def history_popularity(users: UserBatch, table: PopularityTable, half_life_row: int) -> Feature:
    """Return the mean popularity of the history: does this user like hits? Shape (users, 1)."""
    levels = popularity(users, users.history_rows, table, half_life_row)
    return _mean_of_history(users, levels)


def days_since_published(users: UserBatch, item_rows: Rows, items: ItemTable) -> Feature:
    """Return log(1 + days) since the item was published; 0 before that."""
    return _log_days(users, items.published_s[item_rows])


def days_since_first_seen(users: UserBatch, item_rows: Rows, statistics: ItemStatistics) -> Feature:
    """Return log(1 + days) since anybody first touched the item; 0 before that."""
    return _log_days(users, statistics.first_seen_s[item_rows])


def years_from_taste(users: UserBatch, item_rows: Rows, items: ItemTable) -> Feature:
    """Return the item's year of publication less the mean year of the history, in years."""
    years = (items.published_s / SECONDS_PER_YEAR).astype(np.float32)
    return years[item_rows] - _mean_of_history(users, years[users.history_rows])


def log_duration(item_rows: Rows, items: ItemTable) -> Feature:
    """Return log(1 + seconds)."""
    return np.asarray(np.log1p(items.duration_s[item_rows]), dtype=np.float32)


def duration_from_taste(users: UserBatch, item_rows: Rows, items: ItemTable) -> Feature:
    """Return the log duration less the mean log duration of the history."""
    return log_duration(item_rows, items) - _mean_of_history(users, log_duration(users.history_rows, items))


def creator_share(users: UserBatch, item_rows: Rows, items: ItemTable, length: int = 20) -> Feature:
    """Return which share of the latest ``length`` items has the same creator as the item."""
    creators = items.creator_rows[item_rows]
    rows = users.history_rows[:, :length]
    of_history = np.where(rows >= 0, items.creator_rows[rows], -2)
    same = np.zeros(creators.shape, dtype=np.float32)
    for age in range(length):
        same += of_history[:, age : age + 1] == creators
    known = np.maximum(np.count_nonzero(rows >= 0, axis=1), 1).astype(np.float32)[:, None]
    return np.where(creators >= 0, same / known, np.float32(0.0)).astype(np.float32)


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


def _log_days(users: UserBatch, moments_s: NDArray[np.float64]) -> Feature:
    days = (users.now_s[:, None] - moments_s) / SECONDS_PER_DAY
    return np.log1p(np.maximum(days, 0.0)).astype(np.float32)


def _mean_of_history(users: UserBatch, values: Feature) -> Feature:
    known = (users.history_rows >= 0) & ~np.isnan(values)
    count = np.count_nonzero(known, axis=1)
    total = np.where(known, values, np.float32(0.0)).sum(axis=1, dtype=np.float32)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)[:, None]
