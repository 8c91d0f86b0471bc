"""How often each item was chosen when it was shown: what a log of choices alone cannot tell."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recsys.features.items import ItemTable

RATES_PER_ANSWER = 3


def rate_columns(
    item_rows: NDArray[np.int32],
    answers: Sequence[NDArray[np.bool_]],
    items: ItemTable,
    *,
    prior_impressions: float,
) -> NDArray[np.float32]:
    """Return what impressions say of every item, shape (items + 1, 1 + RATES_PER_ANSWER * answers).

    First log(1 + impressions); then per answer the log odds of the rate of the item, of its creator, and the
    mean over its tags. A rate starts with ``prior_impressions`` at the mean of all; what was never shown, an
    unknown creator and no tag have that mean. The last row is that of an item of which nothing is known.

    Args:
        item_rows: shape (impressions,), what was shown.
        answers: each of shape (impressions,), whether it was chosen.
        items: the catalogue.
        prior_impressions: above 0.
    """
    n_shown = np.bincount(item_rows, minlength=items.n_items)
    columns = np.zeros((items.n_items + 1, 1 + RATES_PER_ANSWER * len(answers)), dtype=np.float32)
    columns[:-1, 0] = np.log1p(n_shown)
    nobody = int(items.creator_rows.max(initial=-1)) + 1  # stands for unknown creators
    creators = np.where(items.creator_rows >= 0, items.creator_rows, nobody)
    has = (items.tag_vectors > 0.0).astype(np.float64)  # shape (items, tags)
    n_tags, tag_shown = has.sum(axis=1), has.T @ n_shown
    for number, chosen in enumerate(answers):
        mean = (chosen.sum() + 1.0) / (chosen.size + 2.0)  # never 0 or 1: log odds stay finite
        unknown = np.log(mean / (1.0 - mean))
        n_chosen = np.bincount(item_rows, chosen, items.n_items).astype(np.float64)
        of_item = _log_odds(n_shown, n_chosen, mean, prior_impressions)
        of_creator = _log_odds(
            np.bincount(creators, n_shown),
            np.bincount(creators, n_chosen).astype(np.float64),
            mean,
            prior_impressions,
        )
        of_tag = _log_odds(tag_shown, has.T @ n_chosen, mean, prior_impressions)
        at = 1 + RATES_PER_ANSWER * number
        columns[:-1, at] = of_item
        columns[:-1, at + 1] = np.where(creators < nobody, of_creator[creators], unknown)
        columns[:-1, at + 2] = np.where(n_tags > 0, has @ of_tag / np.maximum(n_tags, 1.0), unknown)
        columns[-1, at : at + RATES_PER_ANSWER] = unknown
    return columns


def _log_odds(
    n_shown: NDArray[np.int64] | NDArray[np.float64],
    n_chosen: NDArray[np.float64],
    mean: float,
    prior_impressions: float,
) -> NDArray[np.float64]:
    above = n_chosen + prior_impressions * mean
    odds: NDArray[np.float64] = np.log(above / (n_shown + prior_impressions - above))
    return odds
