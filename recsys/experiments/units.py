"""From lists to what tests compare: one row per unit (a user) and metric, with the same unit's past."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import polars as pl

from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.errors import NotFoundError
from recsys.experiments.design import Metric
from recsys.experiments.feedback import Records, read_records
from recsys.experiments.list_facts import DEFAULT_K, list_facts

ONE: Final = "one"
"""Denominator of a plain mean per unit."""
_PRE: Final = "pre_"


class UnitMetric(NamedTuple):
    """Sums over a unit's lists whose ratio is the metric."""

    numerator: str
    denominator: str


METRICS: Final[Mapping[str, UnitMetric]] = {
    "watch_rate": UnitMetric("n_watched", "n_items"),
    "click_rate": UnitMetric("n_clicked", "n_items"),
    "skip_rate": UnitMetric("n_skipped", "n_items"),
    "like_rate": UnitMetric("n_liked", "n_items"),
    "watch_time": UnitMetric("watch_time", ONE),  # per unit, see list_facts for what it is measured in
    "lists": UnitMetric("n_lists", ONE),
    "hit_rate": UnitMetric("hit", "n_lists"),
    "ndcg": UnitMetric("ndcg", "n_lists"),
    "tags": UnitMetric("n_tags", "n_lists"),  # different ones in a list
    "creators": UnitMetric("n_creators", "n_lists"),
}
"""Metrics by unit. Coverage is no mean over units: see :func:`coverage`."""

CATALOGUE_METRICS: Final = frozenset({"tags", "creators"})
"""Known only with a catalogue."""
_LOWER_IS_BETTER: Final = frozenset({"skip_rate"})

_SUMMED: Final = sorted({name for metric in METRICS.values() for name in metric} - {ONE, "n_lists"})


def metric_named(name: str) -> UnitMetric:
    """Return a metric.

    Raises:
        NotFoundError: there is none of this name.
    """
    if name not in METRICS:
        raise NotFoundError("metric", name, ", ".join(METRICS))
    return METRICS[name]


def as_metric(name: str, *, tolerance: float = 0.0) -> Metric:
    """Return a metric as designs have it; which way is up is known of each.

    Raises:
        NotFoundError: there is none of this name.
    """
    metric_named(name)
    return Metric(name=name, better="lower" if name in _LOWER_IS_BETTER else "higher", tolerance=tolerance)


@dataclass(frozen=True, slots=True)
class Units:
    """What each unit did, during an experiment and before."""

    sums: pl.DataFrame
    """One row per unit: unit, arm, first_served_at_s, day, context, sums over its lists, and the same sums
    from before with ``pre_`` (null for a unit that was not there)."""
    n_crossed: int
    """Units that more than one arm served. They belong to the arm of their first list with all they did, as
    everybody does (intention to treat): to leave them out would choose users by what the arms did to them."""

    def of(self, metric: str) -> pl.DataFrame:
        """Return unit, arm, day, context, numerator, denominator and ``pre``, one row per unit.

        ``pre`` is the unit's own metric before the experiment; null for one that was not there, or showed
        nothing to count.

        Raises:
            NotFoundError: there is no such metric.
        """
        numerator, denominator = metric_named(metric)
        below = pl.col(f"{_PRE}{denominator}")
        return self.sums.select(
            "unit",
            "arm",
            "day",
            "context",
            numerator=pl.col(numerator).cast(pl.Float64),
            denominator=pl.col(denominator).cast(pl.Float64),
            pre=pl.when(below > 0).then(pl.col(f"{_PRE}{numerator}") / below),
        )


def units_of(facts: pl.DataFrame, *, start_s: float, before: pl.DataFrame | None = None) -> Units:
    """Sum up what each unit did.

    Args:
        facts: of the lists of the experiment, as :func:`recsys.experiments.list_facts.list_facts` returns
            them.
        start_s: Unix time of its beginning; days count from there.
        before: facts of earlier lists, of any arm. No reaction after ``start_s`` may be in them, or the
            effect itself is taken for the past.
    """
    day = (pl.col("first_served_at_s") - start_s) / SECONDS_PER_DAY
    during = (
        facts.lazy()
        .sort("served_at_s", maintain_order=True)
        .group_by("unit", maintain_order=True)
        .agg(
            pl.col("arm", "context").first(),
            first_served_at_s=pl.col("served_at_s").first(),
            crossed=pl.col("arm").n_unique() > 1,
            **sums_of_lists(),
        )
        .with_columns(day=day.floor().cast(pl.Int32), one=1)
    )
    earlier = facts.clear() if before is None else before
    past = earlier.lazy().group_by("unit").agg(**sums_of_lists()).with_columns(one=1)
    past = past.rename(lambda name: name if name == "unit" else f"{_PRE}{name}")
    sums = during.join(past, on="unit", how="left", maintain_order="left").collect()
    return Units(sums.drop("crossed"), int(sums["crossed"].sum()))


@dataclass(frozen=True, slots=True)
class ExperimentFacts:
    """Facts of the lists of an experiment, and of those served before it."""

    during: pl.DataFrame
    before: pl.DataFrame
    start_s: float

    def units(self) -> Units:
        """Sum up by unit; see :func:`units_of`."""
        return units_of(self.during, start_s=self.start_s, before=self.before)


def experiment_facts(
    exposures: Path,
    reactions: pl.DataFrame,
    experiment: str | None,
    *,
    start_s: float,
    until_s: float,
    pre_days: float,
    catalogue: pl.DataFrame | None = None,
    k: int = DEFAULT_K,
) -> ExperimentFacts:
    """Read what was served in an experiment and before, and what became of it.

    Args:
        exposures: the folder of exposures.
        reactions: as :func:`recsys.experiments.reactions.read_reactions` returns them.
        experiment: its name; None compares the arms of the rollout.
        start_s: Unix time of the first list that counts.
        until_s: of the first that does not.
        pre_days: how far back the past goes; what was served then, and what became of it until ``start_s``.
        catalogue: columns of :data:`recsys.data.schema.ITEMS`.
        k: how many items count for ``ndcg`` and ``hit_rate``.
    """
    during = read_records(exposures, reactions, since_s=start_s, until_s=until_s)
    if experiment is not None:
        during = during.of_experiment(experiment)
    known = reactions.filter(pl.col("time_s") < start_s)
    begin_s = start_s - pre_days * SECONDS_PER_DAY
    past = read_records(exposures, known, since_s=begin_s, until_s=start_s)
    return ExperimentFacts(list_facts(during, catalogue, k=k), list_facts(past, catalogue, k=k), start_s)


class Coverage(NamedTuple):
    """How many different items the arms showed in equally many lists."""

    n_lists: int  # of each arm, the first ones: more lists show more items, whatever the arm
    distinct_items: Mapping[str, int]  # by arm


def coverage(records: Records) -> Coverage:
    """Count the different items in the first lists of each arm, as many as the smallest arm has."""
    place = pl.col("list_row").rank("ordinal").over("arm")
    lists = records.lists.with_row_index("list_row").select("list_row", "arm", place=place)
    n_lists = min(lists.group_by("arm").len()["len"], default=0)
    first = lists.filter(pl.col("place") <= n_lists).select("list_row")
    shown = records.impressions.join(first, on="list_row", how="semi")
    counts = dict(shown.group_by("arm").agg(pl.col("item_id").n_unique()).rows())
    arms = lists["arm"].unique(maintain_order=True)
    return Coverage(n_lists, {arm: counts.get(arm, 0) for arm in arms})


def sums_of_lists() -> dict[str, pl.Expr]:
    """Return what is summed over a group of lists: the columns that :data:`METRICS` name, but for ``one``."""
    sums = {name: pl.when(pl.col(name).is_not_null().any()).then(pl.col(name).sum()) for name in _SUMMED}
    return {"n_lists": pl.len(), **sums}  # without a catalogue there are no tags, which is not none at all
