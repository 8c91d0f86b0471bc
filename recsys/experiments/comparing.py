"""Arms compared in one metric: all intervals, without and with users' past."""

from collections.abc import Mapping
from math import isnan, nan, sqrt

from recsys.experiments.cuped import adjust
from recsys.experiments.intervals import Difference, difference_at_one_look, lift_at_all_times
from recsys.experiments.moments import HAS_PRE, Moments
from recsys.experiments.results import Comparison, Effect, Span, finite
from recsys.experiments.sequential import (
    Interval,
    always_valid_p,
    difference_of_means,
    standard_error,
)


def effect_of(control: Moments, treatment: Moments, alpha: float, planned_n: float) -> Effect:
    """Compare two arms; see :class:`~recsys.experiments.results.Effect`.

    Args:
        control: users of the arm.
        treatment: users of the arm.
        alpha: of every interval by itself.
        planned_n: users of both arms where the interval for all times shall be narrowest.
    """
    once = difference_at_one_look(control, treatment, alpha)
    error, n = standard_error(control, treatment), control.n + treatment.n
    known = not isnan(error)
    difference = treatment.ratio - control.ratio
    lift = difference / control.ratio if control.ratio != 0.0 else nan
    p = float(always_valid_p(difference / error, n, alpha, planned_n)) if known else nan
    return Effect(
        control=finite(control.ratio),
        treatment=finite(treatment.ratio),
        difference=finite(difference),
        lift=finite(lift),
        at_all_times=span(difference_of_means(control, treatment, alpha, planned_n)),
        p_at_all_times=finite(p),
        lift_at_all_times=span(lift_at_all_times(control, treatment, alpha, planned_n)),
        at_one_look=span(once),
        p_at_one_look=finite(once.p),
    )


def compare(
    metric: str,
    arms: Mapping[str, Moments],
    control: str,
    arm: str,
    alpha: float,
    planned_n: float,
) -> Comparison:
    """Compare one arm with the control, without and with the users' past.

    Args:
        metric: its name.
        arms: all arms, since the past is taken out of all alike.
        control: the arm to compare with.
        arm: the arm that is compared.
        alpha: of every interval by itself.
        planned_n: users of both arms where the interval for all times shall be narrowest.
    """
    fair = adjust(arms)
    has_past = any(moments.means[HAS_PRE] > 0.0 for moments in arms.values())
    of_control, of_arm = arms[control], arms[arm]
    adjusted = effect_of(fair.arms[control], fair.arms[arm], alpha, planned_n) if has_past else None
    variance = fair.arms[control].variance if has_past else of_control.variance
    return Comparison(
        metric=metric,
        arm=arm,
        n_control=of_control.n,
        n_treatment=of_arm.n,
        raw=effect_of(of_control, of_arm, alpha, planned_n),
        adjusted=adjusted,
        variance_removed=fair.variance_removed,
        std=finite(sqrt(variance)),
    )


def span(interval: Interval | Difference) -> Span:
    """Return an interval as results have it."""
    return Span(lower=finite(interval.lower), upper=finite(interval.upper))
