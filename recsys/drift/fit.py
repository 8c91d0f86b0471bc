"""From interactions and a catalogue to a profile."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt

from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.settings import FrozenModel
from recsys.data.schema import POSITIVE_KINDS, Dataset
from recsys.drift.bins import Bins, names_of, stretches_of
from recsys.drift.coverage import fit_coverage
from recsys.drift.features import EVENT_FEATURES, Feature, Group
from recsys.drift.item_facts import item_facts, ranks_of
from recsys.drift.null import calibrate
from recsys.drift.profile import FeatureProfile, Profile
from recsys.drift.rows import rows_of, whole_windows
from recsys.drift.tally import Tally

_QUANTILES: Final = 51
_BEFORE: Final = 0.4  # of the windows, at least, come before the reference


class ProfileConfig(FrozenModel):
    """How a profile is made."""

    window_s: PositiveFloat = SECONDS_PER_DAY
    """How long a window is; the windows that are compared later are as long."""

    n_windows: PositiveInt = 28
    """So many of the latest windows are the reference."""

    fewest_clusters: PositiveInt = 1_000
    """Pairs of a user and a window; earlier windows are taken in, too, until there are so many."""

    most_clusters: PositiveInt = 100_000
    """Beyond, users are left out by chance."""


@dataclass(frozen=True, slots=True)
class Profiled:
    """A profile and the ranks of items that belong to it."""

    profile: Profile
    ranks: NDArray[np.uint8]  # shape (items,)


def fit_profile(dataset: Dataset, config: ProfileConfig, *, seed: int) -> Profiled | None:
    """Measure the latest windows of a data set; None when it covers no whole window.

    Args:
        dataset: interactions and catalogue; the ranks come in the catalogue's order.
        config: settings.
        seed: of the resamples.
    """
    windows = reference_windows(dataset.interactions, config)
    if not windows:
        return None
    ranks = _ranks_before(dataset, windows.start * config.window_s)
    inside = pl.col("time_s").is_between(
        windows.start * config.window_s, windows.stop * config.window_s, closed="left"
    )
    recent = _thinned(dataset.interactions.filter(inside), config)
    rows = rows_of(recent, item_facts(dataset.items, ranks), config.window_s)
    rng = np.random.default_rng(seed)
    users = rows.select("user_id", "window").unique().height / len(windows)
    features = fit_features(EVENT_FEATURES.values(), rows, users_per_window=users, rng=rng)
    chosen = rows.filter("positive")
    profile = Profile(
        window_s=config.window_s,
        first_s=windows.start * config.window_s,
        until_s=windows.stop * config.window_s,
        n_windows=len(windows),
        n_events=rows.height,
        users_per_window=users,
        features=features,
        coverage=fit_coverage([counts_of(part) for part in chosen.partition_by("window")]),
        streams={
            feature.name: quantiles_of(per_user(feature.take(rows))["value"])
            for feature in EVENT_FEATURES.values()
            if feature.group is Group.ENGAGEMENT and not feature.take(rows).is_empty()
        },
    )
    return Profiled(profile, ranks)


def reference_windows(interactions: pl.DataFrame, config: ProfileConfig) -> range:
    """Return the numbers of the windows of the reference: the latest, and so many that users suffice."""
    known = whole_windows(interactions, config.window_s)
    if not known:
        return known
    window = (pl.col("time_s") // config.window_s).cast(pl.Int64()).alias("window")
    clusters = interactions.select("user_id", window).unique().group_by("window").len("n")
    found = dict(clusters.iter_rows())
    begin, n_clusters = known.stop, 0
    first = known.start + int(_BEFORE * len(known))  # what is before ranks the items
    while begin > first and (known.stop - begin < config.n_windows or n_clusters < config.fewest_clusters):
        begin -= 1
        n_clusters += found.get(begin, 0)
    return range(begin, known.stop)


def fit_features(
    features: Iterable[Feature], rows: pl.DataFrame, *, users_per_window: float, rng: np.random.Generator
) -> tuple[FeatureProfile, ...]:
    """Measure each feature that the rows say anything of."""
    taken = ((feature, feature.take(rows)) for feature in features)
    return tuple(
        _fit_feature(feature, values, users_per_window, rng)
        for feature, values in taken
        if not values.is_empty()
    )


def bins_for(feature: Feature, values: pl.Series) -> Bins:
    """Return the bins that a feature's values are counted in."""
    if feature.names is not None:
        return Bins(names=feature.names)
    if feature.edges is not None:
        return Bins(edges=feature.edges)
    return stretches_of(values) if feature.is_number else names_of(values)


def counts_of(rows: pl.DataFrame) -> NDArray[np.int64]:
    """Return how often each item occurs in rows, shape (different items,), rising: sums keep their bits."""
    return rows.group_by("item_id").len("n")["n"].sort().to_numpy().astype(np.int64)


def per_user(values: pl.DataFrame) -> pl.DataFrame:
    """Return the mean of a feature per user and window, in order of first appearance."""
    return values.group_by("user_id", "window", maintain_order=True).agg(
        pl.col("value").cast(pl.Float64()).mean()
    )


def quantiles_of(values: pl.Series) -> tuple[float, ...]:
    """Return quantiles at even steps from the least to the greatest."""
    levels = np.linspace(0.0, 1.0, _QUANTILES)
    return tuple(np.quantile(values.to_numpy(), levels).round(6).tolist())


def _fit_feature(
    feature: Feature, values: pl.DataFrame, users_per_window: float, rng: np.random.Generator
) -> FeatureProfile:
    bins = bins_for(feature, values["value"])
    tally = Tally.of(values, bins)
    return FeatureProfile(
        name=feature.name,
        group=feature.group,
        bins=bins,
        counts=tuple(tally.total.tolist()),
        n_clusters=tally.n_clusters,
        null=calibrate(tally, max(1, round(users_per_window)), rng),
    )


def _ranks_before(dataset: Dataset, until_s: float) -> NDArray[np.uint8]:
    """Rank items by what was chosen before the reference: by its own choices, later ones could only fall."""
    positive = dataset.interactions.filter(
        pl.col("kind").cast(pl.String()).is_in([kind.value for kind in POSITIVE_KINDS])
    )
    return ranks_of(dataset.items, positive.filter(pl.col("time_s") < until_s))


def _thinned(interactions: pl.DataFrame, config: ProfileConfig) -> pl.DataFrame:
    window = (pl.col("time_s") // config.window_s).alias("window")
    n = interactions.select("user_id", window).unique().height
    if n <= config.most_clusters:
        return interactions
    kept = int(1_000 * config.most_clusters / n)
    return interactions.filter(pl.col("user_id").hash(0) % 1_000 < kept)
