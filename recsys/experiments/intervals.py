"""Intervals for one look that was fixed beforehand, and intervals of lifts for either kind of look."""

from math import inf, isnan, nan, sqrt
from typing import NamedTuple

from scipy.special import stdtr, stdtrit

from recsys.experiments.moments import Moments
from recsys.experiments.sequential import EVERYTHING, Interval, arm_variances, boundary


class Difference(NamedTuple):
    """Treatment less control at a look fixed beforehand; all nan but the ends while nothing is known."""

    value: float
    standard_error: float
    lower: float
    upper: float
    p: float


def difference_at_one_look(control: Moments, treatment: Moments, alpha: float) -> Difference:
    """Compare two arms by Welch's t-test, ratios of sums by the delta method.

    Looked at more than once, it is wrong more often than ``alpha``: a reference beside
    :func:`recsys.experiments.sequential.difference_of_means`, no replacement.

    Args:
        control: users of the arm.
        treatment: users of the arm.
        alpha: two-sided level.

    Source: Welch, "The Generalization of 'Student's' Problem", Biometrika 1947; Deng, Knoblich and Lu,
    "Applying the Delta Method in Metric Analytics", KDD 2018.
    """
    parts = control.variance / max(1, control.n), treatment.variance / max(1, treatment.n)
    value = treatment.ratio - control.ratio
    total = sum(parts)
    if isnan(total) or total == 0.0:
        return Difference(value, nan, -inf, inf, nan)
    error = sqrt(total)
    freedom = total**2 / (parts[0] ** 2 / (control.n - 1) + parts[1] ** 2 / (treatment.n - 1))
    half = float(stdtrit(freedom, 1.0 - alpha / 2)) * error
    p = 2.0 * float(stdtr(freedom, -abs(value) / error))
    return Difference(value, error, value - half, value + half, p)


def lift_interval(control: Moments, treatment: Moments, n_errors: float) -> Interval:
    """Return an interval for treatment by control, less 1.

    All lifts that leave ``treatment - (1 + lift) * control`` within ``n_errors`` of its standard errors: with
    the quantile of one look it is Fieller's interval, with
    :func:`recsys.experiments.sequential.boundary` it holds at all times.

    Args:
        control: its ratio is to be positive.
        treatment: users of the arm.
        n_errors: standard errors, above 0.

    Returns:
        Everything while the control's own ratio may be 0, or nothing is known.

    Source: Fieller, "Some Problems in Interval Estimation", Journal of the Royal Statistical Society B 1954.
    """
    variances = arm_variances(control, treatment)
    if variances is None:
        return EVERYTHING
    v_control, v_treatment = n_errors**2 * variances[0] / control.n, n_errors**2 * variances[1] / treatment.n
    known = control.ratio**2 - v_control
    if known <= 0.0:
        return EVERYTHING
    product = control.ratio * treatment.ratio
    half = sqrt(max(0.0, product**2 - known * (treatment.ratio**2 - v_treatment)))
    return Interval((product - half) / known - 1.0, (product + half) / known - 1.0)


def lift_at_all_times(control: Moments, treatment: Moments, alpha: float, planned_n: float) -> Interval:
    """Return an interval for treatment by control, less 1, that covers it at all times.

    Args:
        control: its ratio is to be positive.
        treatment: users of the arm.
        alpha: how probable it may be that the interval ever misses.
        planned_n: users of both arms where it shall be narrowest; it holds everywhere.
    """
    n = max(1, control.n + treatment.n)
    return lift_interval(control, treatment, float(boundary(n, alpha, planned_n)))


def lift_by_delta(control: Moments, treatment: Moments, n_errors: float) -> Interval:
    """Return the lift's interval by the delta method: symmetric, fine while control's error is small.

    Source: Deng, Knoblich and Lu, as above, section 2.
    """
    variances = arm_variances(control, treatment)
    if variances is None or control.ratio == 0.0:
        return EVERYTHING
    by = treatment.ratio / control.ratio
    variance = variances[1] / treatment.n + by**2 * variances[0] / control.n
    half = n_errors * sqrt(variance) / abs(control.ratio)
    return Interval(by - 1.0 - half, by - 1.0 + half)
