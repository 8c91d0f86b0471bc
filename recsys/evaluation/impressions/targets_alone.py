"""Heads of targets without the next item: what impressions alone teach."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.data.impressions import Target
from recsys.data.log import InteractionLog
from recsys.data.shown import ShownLog
from recsys.evaluation.baselines.full_ranking import best_rows, popularity_preference
from recsys.features.items import ItemTable, fit_items
from recsys.features.users import UserBatch
from recsys.ranking.targets import TargetHeads, TargetsConfig, fit_heads, log_odds
from recsys.recall.tags import TagsConfig, TagsSource, fit_tags


@dataclass(frozen=True, slots=True)
class TargetsAlone:
    """Ranks by one target; only :func:`fit_targets_alone` makes one."""

    heads: TargetHeads
    items: ItemTable
    tags: TagsSource
    preference: NDArray[np.int64]  # shape (items,), place from least to most popular, for ties

    def top(self, users: UserBatch, n: int) -> NDArray[np.int32]:
        """Return the items with the highest log odds that each user has not seen, shape (users, n)."""
        every = np.tile(np.arange(self.items.n_items, dtype=np.int32), (len(users), 1))
        return best_rows(self.scores(users, every), users, n, self.preference)

    def scores(self, users: UserBatch, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the log odds of each item, shape of ``item_rows``."""
        return log_odds(self.heads, users, item_rows, self.items, self.tags)


def fit_targets_alone(
    train: InteractionLog, items: pl.DataFrame, *, past: ShownLog, target: Target, config: TargetsConfig
) -> TargetsAlone:
    """Grow one head.

    Raises:
        UnavailableError: nobody knows the answers to this target.
    """
    table = fit_items(items)
    tags = fit_tags(table, TagsConfig())
    weights = {f"{each.value}_weight": float(each is target) for each in Target}
    alone = config.model_copy(update={**weights, "next_item_weight": 0.0})
    heads = fit_heads(past, train, table, tags, alone, seed=0)
    return TargetsAlone(heads, table, tags, popularity_preference(train))
