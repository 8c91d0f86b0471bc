"""What is served: scores, popularity, tags and age of the items on the first page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from recsys.core.clock import SECONDS_PER_DAY
from recsys.drift.coverage import fit_coverage
from recsys.drift.features import AGES_DAYS, Feature, Group, of_all
from recsys.drift.fit import Profiled, counts_of, fit_features
from recsys.drift.item_facts import RANKS, UNKNOWN_RANK, item_facts
from recsys.drift.profile import Profile
from recsys.eventlog.exposure import impressions
from recsys.eventlog.exposure_reader import FOR_EVER, scan_exposures

MOST_POSITIONS: Final = 10
"""Further down, lists depend on how many items were asked for."""
_SPLITS: Final = 10  # groups of sampled users that stand for windows
_FEWEST_LISTS: Final = 50


def _tags(rows: pl.DataFrame) -> pl.DataFrame:
    tagged = rows.filter(pl.col("tags").list.len() > 0)
    return tagged.select("user_id", "window", pl.col("tags").alias("value")).explode("value")


SERVED_FEATURES: Final[Mapping[str, Feature]] = {
    feature.name: feature
    for feature in (
        Feature(
            "top_score",
            Group.SERVED,
            "the ranker's score of the first item",
            lambda rows: of_all("score")(rows.filter(pl.col("position") == 1)),
            is_number=True,
        ),
        Feature(
            "served_popularity_rank",
            Group.SERVED,
            "how popular the served items were",
            of_all("rank"),
            names=(*RANKS, UNKNOWN_RANK),
        ),
        Feature("served_tag", Group.SERVED, "tags of the served items", _tags),
        Feature(
            "served_item_age_days",
            Group.SERVED,
            "days since the served items were published",
            of_all("age_days"),
            is_number=True,
            edges=AGES_DAYS,
        ),
    )
}
"""Of lists that were served; the order is that of reports."""


def served_rows(lists: pl.DataFrame, facts: pl.DataFrame, window_s: float) -> pl.DataFrame:
    """Return one row per item served, with what is known of it.

    Args:
        lists: ``user_id``, ``time_s``, ``item_id``, ``position`` (1 is the top) and ``score``.
        facts: what :func:`recsys.drift.item_facts.item_facts` returned.
        window_s: how long a window is.
    """
    time_s = pl.col("time_s")
    age_days = (time_s - pl.col("published_s")) / SECONDS_PER_DAY
    return (
        lists.filter(pl.col("position") <= MOST_POSITIONS)
        .join(facts, on="item_id", how="left", maintain_order="left")
        .select(
            "user_id",
            (time_s // window_s).cast(pl.Int64()).alias("window"),
            "item_id",
            "position",
            pl.col("score").cast(pl.Float64()).fill_nan(None),
            pl.col("rank").fill_null(UNKNOWN_RANK),
            "tags",
            pl.when(age_days >= 0).then(age_days).alias("age_days"),
        )
    )


def with_served(profiled: Profiled, lists: pl.DataFrame, items: pl.DataFrame, *, seed: int) -> Profile:
    """Return the profile with what a bundle serves; as it is when there are too few lists to tell.

    Args:
        profiled: of the events, with the ranks of the items.
        lists: one per user, made by the bundle; see :func:`served_rows`.
        items: schema :data:`recsys.data.schema.ITEMS`, in the order of the ranks.
        seed: of the resamples.
    """
    n_lists = lists["user_id"].n_unique()
    if n_lists < _FEWEST_LISTS:
        return profiled.profile
    rng = np.random.default_rng(seed)
    rows = served_rows(lists, item_facts(items, profiled.ranks), profiled.profile.window_s)
    split = pl.Series(rng.permutation(n_lists) % _SPLITS, dtype=pl.Int64())
    users = lists.select(pl.col("user_id").unique(maintain_order=True)).with_columns(split.alias("window"))
    rows = rows.drop("window").join(users, on="user_id", maintain_order="left")
    features = fit_features(SERVED_FEATURES.values(), rows, users_per_window=n_lists / _SPLITS, rng=rng)
    return profiled.profile.model_copy(
        update={
            "features": (*profiled.profile.features, *features),
            "served_coverage": fit_coverage([counts_of(part) for part in rows.partition_by("window")]),
        }
    )


def served_lists(
    folder: Path, bundle: str, *, since_s: float = 0.0, until_s: float = FOR_EVER
) -> pl.DataFrame:
    """Return the lists that a bundle answered with, whole ones alone, as :func:`served_rows` takes them.

    Args:
        folder: of the exposures.
        bundle: the bundle's name.
        since_s: Unix time, included.
        until_s: Unix time, not included.
    """
    whole = (pl.col("bundle") == bundle) & (pl.col("call") == "recommend")
    answers = scan_exposures(folder, since_s=since_s, until_s=until_s).filter(
        whole & (pl.col("degraded").list.len() == 0)
    )
    whose = pl.coalesce("user_pseudonym", "session_pseudonym", "request_id")
    return (
        impressions(answers)
        .select(
            whose.alias("user_id"),
            pl.col("served_at_s").alias("time_s"),
            "item_id",
            "position",
            pl.col("score").cast(pl.Float64()),
        )
        .collect()
    )
