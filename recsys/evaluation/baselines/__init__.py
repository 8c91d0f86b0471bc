"""What a new model has to beat: simple, well known, and given the same past."""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from recsys.evaluation.baselines.ease import EaseConfig, fit_ease
from recsys.evaluation.baselines.item_knn import ItemKnnConfig, fit_item_knn
from recsys.evaluation.baselines.popularity import fit_popularity
from recsys.evaluation.baselines.recent_popularity import RecentPopularityConfig, fit_recent_popularity
from recsys.evaluation.model import Fit

BASELINES: Mapping[str, Fit] = MappingProxyType(
    {
        "popularity": fit_popularity,
        "recent-popularity": partial(fit_recent_popularity, config=RecentPopularityConfig()),
        "item-knn": partial(fit_item_knn, config=ItemKnnConfig()),
        "ease": partial(fit_ease, config=EaseConfig()),
    }
)
"""Every baseline with its default settings, in the order of the report."""
