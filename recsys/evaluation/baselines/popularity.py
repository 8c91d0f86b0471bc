"""The most popular items of the whole past, the same for everybody but for what they have seen."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.data.log import InteractionLog
from recsys.evaluation.baselines.full_ranking import best_rows, popularity_preference
from recsys.features.users import UserBatch


@dataclass(frozen=True, slots=True)
class Popularity:
    """Ranks by the number of training events; only :func:`fit_popularity` makes one."""

    preference: NDArray[np.int64]  # shape (items,), place from least to most popular
    n_events: NDArray[np.int64]  # shape (items,)

    def top(self, users: UserBatch, n: int) -> NDArray[np.int32]:
        """Return the most popular items that each user has not seen, shape (users, n)."""
        nothing_else = np.zeros((len(users), len(self.preference)), dtype=np.float32)
        return best_rows(nothing_else, users, n, self.preference)

    def scores(self, users: UserBatch, item_rows: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the training events of each item, shape of ``item_rows``."""
        del users
        return self.n_events[item_rows].astype(np.float64)


def fit_popularity(train: InteractionLog, items: pl.DataFrame) -> Popularity:
    """Count the training events of each item."""
    del items
    return Popularity(popularity_preference(train), np.bincount(train.item_rows, minlength=train.n_items))
