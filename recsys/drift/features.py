"""What is looked at: each feature of what comes in, of what people make of it and of what is served."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import polars as pl

from recsys.drift.item_facts import RANKS

Take = Callable[[pl.DataFrame], pl.DataFrame]
"""From rows to ``user_id``, ``window`` and ``value``, the latter without nulls."""


AGES_DAYS: Final = (1.0, 3.0, 7.0, 30.0)
"""Edges of ages: a catalogue grows older by itself, so what is old is one bin; what is new matters."""


class Group(StrEnum):
    """What a feature speaks of; the policy tells them apart."""

    INPUTS = "inputs"
    ENGAGEMENT = "engagement"
    SERVED = "served"


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing to look at."""

    name: str
    group: Group
    explained: str
    take: Take
    is_number: bool = False  # bins are stretches, in order
    names: tuple[str, ...] | None = None  # of bins that are the same for all data; None: the most frequent
    edges: tuple[float, ...] | None = None  # of bins that are the same for all data; None: between quantiles
    once: bool = False  # one value per user and window, so that values are independent


def of_all(column: str) -> Take:
    """Return what takes a column of all rows, where it is known."""
    return lambda rows: rows.select("user_id", "window", pl.col(column).alias("value")).drop_nulls("value")


def _of_positive(column: str) -> Take:
    return lambda rows: of_all(column)(rows.filter("positive"))


def _tags(rows: pl.DataFrame) -> pl.DataFrame:
    chosen = rows.filter(pl.col("positive") & (pl.col("tags").list.len() > 0))
    return chosen.select("user_id", "window", pl.col("tags").alias("value")).explode("value")


def _per_user(value: pl.Expr) -> Take:
    def take(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.group_by("user_id", "window", maintain_order=True).agg(value.alias("value"))

    return take


_RANKS: Final = RANKS[:-1]  # items that came later are another matter: see item_age_days
_HOURS: Final = tuple(f"{hour:02}" for hour in range(24))
_SHARE_CHOSEN: Final = pl.col("positive").mean()

EVENT_FEATURES: Final[Mapping[str, Feature]] = {
    feature.name: feature
    for feature in (
        Feature("kind", Group.INPUTS, "kinds of events", of_all("kind")),
        Feature("context", Group.INPUTS, "where items were shown", of_all("context")),
        Feature("hour", Group.INPUTS, "hours of the day, UTC", of_all("hour"), names=_HOURS),
        Feature(
            "history_length",
            Group.INPUTS,
            "choices of a user within a window",
            _per_user(pl.col("positive").sum()),
            is_number=True,
            once=True,
        ),
        Feature(
            "popularity_rank",
            Group.INPUTS,
            "how popular the chosen items were before, of those that anybody had chosen",
            lambda rows: _of_positive("rank")(rows).filter(pl.col("value").is_in(_RANKS)),
            names=_RANKS,
        ),
        Feature("tag", Group.INPUTS, "tags of the chosen items", _tags),
        Feature(
            "item_age_days",
            Group.INPUTS,
            "days since the chosen items were published",
            _of_positive("age_days"),
            is_number=True,
            edges=AGES_DAYS,
        ),
        Feature(
            "value",
            Group.ENGAGEMENT,
            "stars, or the share of a video that was watched",
            of_all("value"),
            is_number=True,
        ),
        Feature(
            "chosen_share",
            Group.ENGAGEMENT,
            "share of a user's events that are choices",
            _per_user(_SHARE_CHOSEN),
            is_number=True,
            once=True,
        ),
    )
}
"""Of events; the order is that of reports."""
