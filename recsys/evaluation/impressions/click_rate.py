"""How often each item was chosen when it was shown: what any judge of shown items has to beat."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import PositiveFloat

from recsys.core.errors import UnavailableError
from recsys.core.settings import FrozenModel
from recsys.data.impressions import Target
from recsys.data.log import InteractionLog
from recsys.data.shown import ShownLog
from recsys.evaluation.baselines.full_ranking import best_rows, popularity_preference
from recsys.features.users import UserBatch


class ClickRateConfig(FrozenModel):
    """How far few impressions are trusted."""

    prior_impressions: PositiveFloat = 20.0
    """Every item starts with so many impressions at the mean rate."""


@dataclass(frozen=True, slots=True)
class ClickRate:
    """Ranks by a rate per item; only :func:`fit_click_rate` makes one."""

    rates: NDArray[np.float64]  # shape (items,), in [0, 1]
    preference: NDArray[np.int64]  # shape (items,), place from least to most popular, for ties

    def top(self, users: UserBatch, n: int) -> NDArray[np.int32]:
        """Return the items with the highest rates that each user has not seen, shape (users, n)."""
        every = np.tile(self.rates.astype(np.float32), (len(users), 1))
        return best_rows(every, users, n, self.preference)

    def scores(self, users: UserBatch, item_rows: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the rate of each item, shape of ``item_rows``."""
        del users
        return self.rates[item_rows]


def fit_click_rate(
    train: InteractionLog, items: pl.DataFrame, *, past: ShownLog, target: Target, config: ClickRateConfig
) -> ClickRate:
    """Count what was shown and what of it was chosen; only what a recommender showed, not chance.

    Raises:
        UnavailableError: nobody knows the answers to this target.
    """
    del items
    if target not in past.answers:
        raise UnavailableError(f"the rate of {target.value}", "the data set does not tell")
    counted = ~past.at_random
    rows, chosen = past.item_rows[counted], past.answers[target][counted]
    n_shown = np.bincount(rows, minlength=train.n_items)
    n_chosen = np.bincount(rows, chosen, train.n_items)
    mean = chosen.mean() if chosen.size else 0.5
    rates = (n_chosen + config.prior_impressions * mean) / (n_shown + config.prior_impressions)
    return ClickRate(rates, popularity_preference(train))
