"""What a new model has to beat: simple, well known, and given the same past."""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from recsys.evaluation.baselines.ease import EaseConfig, fit_ease
from recsys.evaluation.baselines.item_knn import ItemKnnConfig, fit_item_knn
from recsys.evaluation.baselines.optional import OptionalFit
from recsys.evaluation.baselines.popularity import fit_popularity
from recsys.evaluation.baselines.pure_svd import PureSvdConfig, fit_pure_svd
from recsys.evaluation.baselines.recent_popularity import RecentPopularityConfig, fit_recent_popularity
from recsys.evaluation.model import Fit

BASELINES: Mapping[str, Fit] = MappingProxyType(
    {
        "popularity": fit_popularity,
        "recent-popularity": partial(fit_recent_popularity, config=RecentPopularityConfig()),
        "recent-popularity-1d": partial(
            fit_recent_popularity, config=RecentPopularityConfig(window_days=1.0)
        ),
        "recent-popularity-1y": partial(
            fit_recent_popularity, config=RecentPopularityConfig(window_days=365.0)
        ),
        "item-knn": partial(fit_item_knn, config=ItemKnnConfig()),
        "ease": partial(fit_ease, config=EaseConfig()),
        "svd": partial(fit_pure_svd, config=PureSvdConfig()),
        "ials": OptionalFit("ials", ("implicit",), "recsys.evaluation.baselines.ials"),
        "sasrec": OptionalFit("sasrec", ("jax", "optax"), "recsys.evaluation.baselines.sasrec.training"),
    }
)
"""Every baseline by name, in the order of the report.

What is recent differs between films and short videos, so three windows stand side by side: on
ml-latest-small, global time, a year is far stronger than 30 days, and 30 days alone would flatter whatever is
compared with it. svd, ials and sasrec judge themselves by positions of the training log that they hold out
(:mod:`recsys.evaluation.baselines.validation`): the first two choose their settings, the third when to stop.
"""
