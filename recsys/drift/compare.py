"""One window against the reference: every feature's divergence, its threshold, and how it moved."""

from collections.abc import Collection, Iterable, Sequence

import numpy as np
import polars as pl
from pydantic import Field, NonNegativeInt, PositiveInt

from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.settings import FrozenModel
from recsys.drift.coverage import CoverageProfile, rarefied
from recsys.drift.divergence import chi_square_p_value, jensen_shannon, kolmogorov_smirnov, psi
from recsys.drift.features import EVENT_FEATURES, Feature, Group
from recsys.drift.fit import counts_of
from recsys.drift.moved import how
from recsys.drift.null import effective
from recsys.drift.profile import FeatureProfile, Profile, Reference
from recsys.drift.rows import rows_of
from recsys.drift.served import SERVED_FEATURES, served_rows
from recsys.drift.tally import Tally

_WEEK_S = 7 * SECONDS_PER_DAY
COVERAGE, SERVED_COVERAGE = "coverage", "served_coverage"


class CheckConfig(FrozenModel):
    """When a feature counts as moved."""

    false_alarms_per_week: float = Field(default=0.01, gt=0.0, lt=1.0)
    """Expected number of windows that are called moved though nothing moved, over all features and a week."""

    least_divergence: float = Field(default=0.005, ge=0.0, le=1.0)
    """In bits: less matters to nobody, however sure it is. 0.005 is a PSI of about 0.03."""

    fewest_users: PositiveInt = 30
    """A feature with fewer users in a window is not judged."""


class Moved(FrozenModel):
    """What one window says of one feature."""

    feature: str
    group: Group
    n_users: NonNegativeInt
    divergence: float
    """Jensen-Shannon, in bits; of coverage, the relative difference."""
    threshold: float
    """What is over it has moved."""
    over: bool
    p_value: float
    """Chance of so much without drift, of this window and feature alone."""
    how: str
    """From where to where."""
    psi: float | None = None
    kolmogorov_smirnov: float | None = None
    """Where bins are in order."""
    chi_square_p: float | None = None
    """Where there is one value per user."""
    reference: tuple[float, ...] = ()
    """Shares of the bins."""
    window: tuple[float, ...] = ()


class WindowVerdict(FrozenModel):
    """What one window says."""

    window: int
    begins_s: float
    ends_s: float
    n_events: NonNegativeInt
    n_users: NonNegativeInt
    features: tuple[Moved, ...]
    """Those that could be judged."""

    @property
    def moved(self) -> tuple[Moved, ...]:
        """The features over their threshold, the surest first."""
        return tuple(sorted((one for one in self.features if one.over), key=lambda one: one.p_value))


def level(profile: Profile, config: CheckConfig) -> float:
    """Return the chance of one feature in one window to be called moved by accident.

    The allowed number per week, shared out evenly (Bonferroni): features depend on each other, so together
    they are called moved less often, never more.
    """
    coverages = (profile.coverage, profile.served_coverage)
    n_features = len(profile.features) + sum(one is not None for one in coverages)
    looks = max(1, n_features) * max(1.0, _WEEK_S / profile.window_s)
    return config.false_alarms_per_week / looks


def compare_events(
    reference: Reference, interactions: pl.DataFrame, config: CheckConfig
) -> list[WindowVerdict]:
    """Compare each window that the interactions fall into.

    Args:
        reference: the bundle's.
        interactions: schema :data:`recsys.data.schema.INTERACTIONS`, of whole windows.
        config: settings.

    Returns:
        One verdict per window with events, in order of time.
    """
    rows = rows_of(interactions, reference.facts, reference.profile.window_s)
    known = (COVERAGE, Group.INPUTS, reference.profile.coverage)
    return _verdicts(reference.profile, rows, EVENT_FEATURES.values(), known, pl.col("positive"), config)


def compare_served(reference: Reference, lists: pl.DataFrame, config: CheckConfig) -> list[WindowVerdict]:
    """Compare each window that lists were served in.

    Args:
        reference: of the bundle that served them.
        lists: what :func:`recsys.drift.served.served_lists` returned, of whole windows.
        config: settings.

    Returns:
        One verdict per window with lists, in order of time.
    """
    rows = served_rows(lists, reference.facts, reference.profile.window_s)
    known = (SERVED_COVERAGE, Group.SERVED, reference.profile.served_coverage)
    return _verdicts(reference.profile, rows, SERVED_FEATURES.values(), known, pl.lit(value=True), config)


def joined(events: Sequence[WindowVerdict], served: Sequence[WindowVerdict]) -> list[WindowVerdict]:
    """Return one verdict per window of what both say, in order of time; users and events are the former's."""
    of_events, of_lists = ({one.window: one for one in part} for part in (events, served))
    both = []
    for window in sorted(of_events.keys() | of_lists.keys()):
        first, second = of_events.get(window), of_lists.get(window)
        if first is not None and second is not None:
            first = first.model_copy(update={"features": (*first.features, *second.features)})
        both += [one for one in (first or second,) if one is not None]
    return both


def _verdicts(
    profile: Profile,
    rows: pl.DataFrame,
    features: Collection[Feature],
    coverage: tuple[str, Group, CoverageProfile | None],
    covering: pl.Expr,
    config: CheckConfig,
) -> list[WindowVerdict]:
    """Judge every window of rows: its features, and how many different items those rows ``covering`` have."""
    chance = level(profile, config)
    parts = rows.partition_by("window", as_dict=True)
    verdicts = [
        WindowVerdict(
            window=int(window),
            begins_s=window * profile.window_s,
            ends_s=(window + 1) * profile.window_s,
            n_events=part.height,
            n_users=part["user_id"].n_unique(),
            features=(
                *_features(profile, part, features, config, chance),
                *_coverage(*coverage, part.filter(covering), config, chance),
            ),
        )
        for (window,), part in parts.items()
    ]
    return sorted(verdicts, key=lambda verdict: verdict.window)


def _features(
    profile: Profile, rows: pl.DataFrame, features: Iterable[Feature], config: CheckConfig, chance: float
) -> Iterable[Moved]:
    for feature in features:
        known = profile.feature(feature.name)
        values = feature.take(rows)
        if known is None or values["user_id"].n_unique() < config.fewest_users:
            continue
        yield _compare(feature, known, Tally.of(values, known.bins), config, chance)


def _compare(
    feature: Feature, known: FeatureProfile, tally: Tally, config: CheckConfig, chance: float
) -> Moved:
    before, after = np.array(known.counts), tally.total
    shares, now = before / before.sum(), after / after.sum()
    worth = effective(tally.n_clusters, known.n_clusters)
    divergence = jensen_shannon(before, after)
    threshold = max(known.null.threshold(chance, worth), config.least_divergence)
    return Moved(
        feature=feature.name,
        group=feature.group,
        n_users=tally.n_clusters,
        divergence=divergence,
        threshold=threshold,
        over=divergence > threshold,
        p_value=known.null.p_value(divergence, worth),
        how=how(known.bins, shares, now),
        psi=psi(before, after),
        kolmogorov_smirnov=kolmogorov_smirnov(before, after) if known.bins.in_order else None,
        chi_square_p=chi_square_p_value(before, after) if feature.once else None,
        reference=tuple(shares.round(6).tolist()),
        window=tuple(now.round(6).tolist()),
    )


def _coverage(
    name: str,
    group: Group,
    known: CoverageProfile | None,
    rows: pl.DataFrame,
    config: CheckConfig,
    chance: float,
) -> list[Moved]:
    """Compare the number of different items; nothing where fewer were chosen than the reference drew."""
    n_users = rows["user_id"].n_unique()
    if known is None or rows.height < known.n_draws or n_users < config.fewest_users:
        return []
    found = rarefied(counts_of(rows), known.n_draws)
    change = found / known.mean - 1.0
    threshold = max(known.half_width(chance) / known.mean, 10.0 * config.least_divergence)
    return [
        Moved(
            feature=name,
            group=group,
            n_users=n_users,
            divergence=abs(change),
            threshold=threshold,
            over=abs(change) > threshold,
            p_value=known.p_value(found),
            how=f"different items among {known.n_draws}: {known.mean:.1f} → {found:.1f} ({change:+.1%})",
        )
    ]
