"""The most popular items of the last days before the user asks.

On data that spans years this is the popularity to beat: it knows what was in fashion when the user asked.

Source: Ji, Sun, Zhang and Li, "A Re-visit of the Popularity Baseline in Recommender Systems", SIGIR 2020.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import PositiveFloat

from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.settings import FrozenModel
from recsys.data.log import InteractionLog
from recsys.evaluation.baselines.full_ranking import best_rows, chosen_scores, popularity_preference
from recsys.features.users import UserBatch


class RecentPopularityConfig(FrozenModel):
    """What counts as recent."""

    window_days: PositiveFloat = 30.0
    """Events of so many days before the question count."""


@dataclass(frozen=True, slots=True)
class RecentPopularity:
    """Training events in order of time; only :func:`fit_recent_popularity` makes one."""

    times_s: NDArray[np.float64]  # shape (events,), rising
    item_rows: NDArray[np.int32]  # shape (events,)
    preference: NDArray[np.int64]  # shape (items,), place from least to most popular ever, for ties
    window_s: float

    def top(self, users: UserBatch, n: int) -> NDArray[np.int32]:
        """Return the items with the most events shortly before each user's ``now_s``, shape (users, n)."""
        return best_rows(self._every_score(users.now_s), users, n, self.preference)

    def scores(self, users: UserBatch, item_rows: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the events of each item shortly before the question, shape of ``item_rows``.

        A question later than all that is known is asked as of the end of it: days after the fit the window
        would be empty.
        """
        now_s = (
            np.minimum(users.now_s, np.nextafter(self.times_s[-1:], np.inf))
            if self.times_s.size
            else users.now_s
        )
        return chosen_scores(self._every_score(now_s), item_rows, self.preference)

    def _every_score(self, now_s: NDArray[np.float64]) -> NDArray[np.float32]:
        moments, moment_of = np.unique(now_s, return_inverse=True)
        starts = np.searchsorted(self.times_s, moments - self.window_s)
        stops = np.searchsorted(self.times_s, moments)  # events at the very moment are not past yet
        counts = np.empty((len(moments), len(self.preference)), dtype=np.float32)
        for row, start, stop in zip(counts, starts, stops, strict=True):
            row[:] = np.bincount(self.item_rows[start:stop], minlength=len(row))
        return counts[moment_of]


def fit_recent_popularity(
    train: InteractionLog,
    items: pl.DataFrame,
    config: RecentPopularityConfig,
) -> RecentPopularity:
    """Put the training events in order of time."""
    del items
    order = np.argsort(train.times_s, kind="stable")
    return RecentPopularity(
        train.times_s[order],
        train.item_rows[order],
        popularity_preference(train),
        config.window_days * SECONDS_PER_DAY,
    )
