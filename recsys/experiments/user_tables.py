"""From records to the tables that an analysis reads; see :mod:`recsys.experiments.tables`."""

from collections.abc import Collection
from typing import Final

import polars as pl

from recsys.core.clock import SECONDS_PER_DAY
from recsys.experiments.feedback import DEFAULT_WINDOW_S
from recsys.experiments.tables import ARM, DAY, USER, before_of, denominator_of
from recsys.experiments.units import ONE, Units, metric_named, sums_of_lists, units_of

CONTEXT: Final = "context"
PAST: Final = "past"
ACTIVITY: Final = "activity"
_HEAVY_LISTS = 10
SEGMENTS: Final = {
    CONTEXT: "of the first list of the experiment",
    PAST: "known or new: whether anything was served to them in the days before",
    ACTIVITY: f"new, light or heavy: lists in the days before, none, below {_HEAVY_LISTS} or more",
}
"""Segments that every user table has, and what they say; all are settled when a user first meets an arm."""


def user_table(units: Units, metrics: Collection[str]) -> pl.DataFrame:
    """Return the user table: ``unit``, ``arm``, the segments, and three columns per metric.

    Raises:
        NotFoundError: there is no such metric.
    """
    had_past = pl.col("pre_n_lists").is_not_null()
    past = pl.when(had_past).then(pl.lit("known")).otherwise(pl.lit("new"))
    heavy = pl.when(pl.col("pre_n_lists") >= _HEAVY_LISTS).then(pl.lit("heavy")).otherwise(pl.lit("light"))
    activity = pl.when(had_past).then(heavy).otherwise(pl.lit("new"))
    table = units.sums.select("unit", ARM, CONTEXT, past.alias(PAST), activity.alias(ACTIVITY))
    for metric in metrics:
        found = units.of(metric)
        table = table.with_columns(
            found["numerator"].alias(metric),
            found["denominator"].alias(denominator_of(metric)),
            found["pre"].alias(before_of(metric)),
        )
    return table


def day_table(
    facts: pl.DataFrame, metric: str, *, until_s: float, window_s: float = DEFAULT_WINDOW_S
) -> pl.DataFrame:
    """Return the day table of a metric: how it went on the days since each user's first list.

    A user who asked for nothing on a day has a row of zeros. Days that had not ended for a user by
    ``until_s``, or whose lists may still get reactions then, are left out.

    Args:
        facts: of the lists of the experiment, as :func:`recsys.experiments.list_facts.list_facts` returns
            them.
        metric: its name.
        until_s: Unix time up to which reactions are known.
        window_s: how long a list may get reactions.

    Raises:
        NotFoundError: there is no such metric.
    """
    numerator, denominator = metric_named(metric)
    nothing = 1.0 if denominator == ONE else 0.0  # a day without lists is a day of the user all the same
    since_first_s = pl.col("served_at_s") - pl.col("served_at_s").min().over("unit")
    seen = (
        facts.with_columns((since_first_s / SECONDS_PER_DAY).floor().cast(pl.Int32).alias(DAY))
        .group_by("unit", DAY)
        .agg(**sums_of_lists())
        .with_columns(pl.lit(1).alias(ONE))
    )
    return (
        _whole_days(facts, until_s - window_s)
        .join(seen, on=["unit", DAY], how="left", maintain_order="left")
        .select(
            pl.col("unit").alias(USER),
            ARM,
            DAY,
            pl.col(numerator).cast(pl.Float64).fill_null(0.0).alias(metric),
            pl.col(denominator).cast(pl.Float64).fill_null(nothing).alias(denominator_of(metric)),
        )
    )


def _whole_days(facts: pl.DataFrame, until_s: float) -> pl.DataFrame:
    """Return unit, arm and day: of each unit the days since its first list that had ended by then."""
    units = units_of(facts, start_s=0.0).sums
    n_days = ((until_s - pl.col("first_served_at_s")) / SECONDS_PER_DAY).floor().clip(lower_bound=0.0)
    days = pl.int_ranges(0, n_days.cast(pl.Int32), dtype=pl.Int32)
    return units.filter(n_days > 0.0).select("unit", ARM, days.alias(DAY)).explode(DAY)
