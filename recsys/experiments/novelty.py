"""How the effect on users changes with the days since their first exposure."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import norm

from recsys.core.errors import FieldError
from recsys.experiments.comparing import span
from recsys.experiments.design import ExperimentDesign
from recsys.experiments.intervals import Difference, difference_at_one_look
from recsys.experiments.moments import DENOMINATOR, Moments
from recsys.experiments.results import DayEffect, Trend, finite
from recsys.experiments.tables import ARM, DAY, USER, check_table, denominator_of, moments_by_label, numbers

ByArm = Mapping[str, Moments]


@dataclass(frozen=True, slots=True)
class _Slope:
    """A weighted line through the effects of the days."""

    weights: Mapping[int, float]  # by how much the slope moves with one more effect on that day
    value: float


def trends(design: ExperimentDesign, days: pl.DataFrame) -> tuple[Trend, ...]:
    """Return of each arm the effect in the primary metric by day, and whether it rises or falls.

    Args:
        design: of the experiment.
        days: the day table, see :mod:`recsys.experiments.tables`.

    Raises:
        FieldError: the table lacks a column, knows an arm that the design does not, or has days below 0.
    """
    check_table(days, design, (USER, DAY, design.primary.name))
    if days[DAY].null_count() or not days[DAY].dtype.is_integer() or bool((days[DAY] < 0).any()):
        raise FieldError(DAY, f"a column of {days[DAY].dtype}, or with holes", "whole days from 0 on")
    by_label = moments_by_label(days, design.primary, tuple(design.arms), DAY)
    by_day = {int(label): by_label[label] for label in sorted(by_label, key=int)}
    return tuple(_trend(design, days, by_day, arm) for arm in design.treatments)


def _trend(design: ExperimentDesign, days: pl.DataFrame, by_day: Mapping[int, ByArm], arm: str) -> Trend:
    found = {
        day: difference_at_one_look(arms[design.control], arms[arm], design.alpha_per_arm)
        for day, arms in by_day.items()
    }
    rows = tuple(
        DayEffect(
            day=day,
            n_control=by_day[day][design.control].n,
            n_treatment=by_day[day][arm].n,
            difference=finite(effect.value),
            at_one_look=span(effect),
        )
        for day, effect in found.items()
    )
    slope = _slope(found)
    if slope is None:
        return Trend(arm=arm, days=rows, slope_per_day=None, standard_error=None, p=None)
    error = sqrt(sum(_spread(days, design, by_day, slope, of) for of in (design.control, arm)))
    p = 2.0 * float(norm.sf(abs(slope.value) / error)) if error > 0.0 else nan
    return Trend(arm=arm, days=rows, slope_per_day=slope.value, standard_error=finite(error), p=finite(p))


def _slope(found: Mapping[int, Difference]) -> _Slope | None:
    """Fit a line by weighted least squares; None with fewer than two days of known effect."""
    known = {day: effect for day, effect in found.items() if effect.standard_error > 0.0}
    if len(known) < 2:
        return None
    day = np.array(list(known), dtype=np.float64)
    trust = np.array([effect.standard_error**-2 for effect in known.values()])
    apart = day - np.average(day, weights=trust)
    weights = trust * apart / (trust @ np.square(apart))
    value = float(weights @ np.array([effect.value for effect in known.values()]))
    return _Slope(dict(zip(known, weights.tolist(), strict=True)), value)


def _spread(
    days: pl.DataFrame, design: ExperimentDesign, by_day: Mapping[int, ByArm], slope: _Slope, arm: str
) -> float:
    """Return an arm's part in the slope's variance: users differ, and one user's days are alike.

    Each user moves the slope by the sum of what their days move it by, so users and not rows are summed.
    """
    rows = days.filter(pl.col(ARM) == arm)
    day = rows[DAY].to_numpy()
    last = int(day.max()) if day.size else 0
    ratio, per_unit = np.zeros(last + 1), np.zeros(last + 1)
    for at, weight in slope.weights.items():
        moments = by_day[at][arm]
        ratio[at] = moments.ratio
        per_unit[at] = weight / (moments.means[DENOMINATOR] * moments.n)
    numerator, denominator = (
        numbers(rows, design.primary.name),
        numbers(rows, denominator_of(design.primary.name)),
    )
    shown: NDArray[np.float64] | float = 1.0 if denominator is None else denominator
    moved = per_unit[day] * (numerator - ratio[day] * shown)
    user = (rows[USER].rank("dense") - 1).to_numpy()
    return float(np.square(np.bincount(user, weights=moved)).sum())
