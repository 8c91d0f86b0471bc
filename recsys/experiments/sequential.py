"""Intervals that hold at all times at once: look as often as you like, stop when you like.

Means and ratios have asymptotic ones (they need some tens of users that vary); proportions have exact ones
for any sample, also for events that have never happened yet.
"""

from math import inf, isnan, log, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln, expit, lambertw

from recsys.core.errors import FieldError
from recsys.experiments.moments import Moments

_PRIOR = 0.5  # Jeffreys': as sharp for rare events as for even ones
_MAX_NEWTON_STEPS = 100  # ten or so are taken
_TOLERANCE = 1e-12  # relative, of the log odds


class Interval(NamedTuple):
    """Both ends belong to it."""

    lower: float
    upper: float


EVERYTHING = Interval(-inf, inf)


def boundary(n: ArrayLike, alpha: float, planned_n: float) -> NDArray[np.float64]:
    """Return how many standard errors an estimate may ever be off, at every ``n`` at once.

    Args:
        n: users so far (of all arms that are compared), of any shape, above 0.
        alpha: how probable it may be that the estimate is ever further off.
        planned_n: where the boundary shall be closest; it holds everywhere.

    Returns:
        Of the shape of ``n``; about 3.03 at ``planned_n`` for alpha = 0.05, and more elsewhere.

    Raises:
        FieldError: ``alpha`` is not between 0 and 1, or ``planned_n`` is not positive.

    Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic
    confidence sequences", Annals of Statistics 2024, theorem 2.2, with rho from their section B.2.
    """
    times = np.asarray(n, dtype=np.float64) * _squared_rho(alpha, planned_n)
    return np.sqrt((1.0 + 1.0 / times) * (np.log1p(times) - 2.0 * log(alpha)))


def always_valid_p(z: ArrayLike, n: ArrayLike, alpha: float, planned_n: float) -> NDArray[np.float64]:
    """Return p-values that may be looked at as often as one likes.

    Args:
        z: estimate over its standard error, of any shape.
        n: users so far, of the same shape.
        alpha: the level that the boundary is tuned for; below it exactly where |z| > :func:`boundary`.
        planned_n: as there.

    Returns:
        In [0, 1].
    """
    times = np.asarray(n, dtype=np.float64) * _squared_rho(alpha, planned_n)
    log_evidence = 0.5 * np.square(z) * times / (1.0 + times) - 0.5 * np.log1p(times)
    return np.exp(-np.maximum(0.0, log_evidence))


def difference_of_means(control: Moments, treatment: Moments, alpha: float, planned_n: float) -> Interval:
    """Return an interval for treatment less control that covers it at all times, with odds of 1 - alpha.

    Means per user and ratios of sums alike. It is asymptotic: trust it from some tens of users per arm on.

    Args:
        control: users so far.
        treatment: users so far.
        alpha: how probable it may be that the interval ever misses.
        planned_n: users of both arms at which it shall be narrowest; it holds everywhere.

    Returns:
        Everything while nothing can be said: fewer than two users in an arm, or figures that have not varied.

    Source: see :func:`boundary`; the pseudo-outcomes of their section 3, with known shares of users.
    """
    error = standard_error(control, treatment)
    if isnan(error):
        return EVERYTHING
    half = error * float(boundary(control.n + treatment.n, alpha, planned_n))
    middle = treatment.ratio - control.ratio
    return Interval(middle - half, middle + half)


def standard_error(control: Moments, treatment: Moments) -> float:
    """Return the standard error of the difference of two arms; nan while it is not known."""
    variances = arm_variances(control, treatment)
    return sqrt(variances[0] / control.n + variances[1] / treatment.n) if variances else float("nan")


def arm_variances(control: Moments, treatment: Moments) -> tuple[float, float] | None:
    """Return the variance of one user's part in each arm; None while it is not known.

    A small arm of a rare event believes for long that nothing varies, and would be wrong too often: 10 % of
    the time instead of 5 % at 1 user in 100 and 1 event in 100. So the smaller an arm is, the more it takes
    of the other's variance where that is larger; arms of one size keep their own. Where nobody in an arm
    has differed yet, it takes that of both together.
    """
    own = control.variance, treatment.variance
    if isnan(own[0]) or isnan(own[1]):
        return None
    together = (control + treatment).variance
    if not together > 0.0:
        return None
    small, large = (0, 1) if control.n <= treatment.n else (1, 0)
    size = min(control.n, treatment.n) / max(control.n, treatment.n)
    borrowed = size * own[small] + (1.0 - size) * own[large]
    guarded = [variance or together for variance in own]
    guarded[small] = max(guarded[small], borrowed)
    return guarded[0], guarded[1]


def proportion_interval(successes: int, n: int, alpha: float) -> Interval:
    """Return an interval for a proportion that covers it at every ``n``, all with odds of 1 - alpha.

    No sample is too small: with ``n`` = 0 it is [0, 1].

    Args:
        successes: how many of ``n``.
        n: independent trials so far.
        alpha: how probable it may be that the interval ever misses.

    Raises:
        FieldError: ``successes`` is not in [0, n], or ``alpha`` is not between 0 and 1.

    Source: Robbins, "Statistical Methods Related to the Law of the Iterated Logarithm", Annals of
    Mathematical Statistics 1970: the beta-binomial mixture is a martingale under the true proportion, and
    Ville's inequality bounds how often it ever exceeds 1 / alpha.

    >>> proportion_interval(3, 200, 0.05).lower > proportion_interval(0, 20_000, 0.05).upper
    True
    """
    lower, upper = proportion_intervals(successes, n, alpha)
    return Interval(float(lower), float(upper))


def proportion_intervals(
    successes: ArrayLike, n: ArrayLike, alpha: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return lower and upper ends of :func:`proportion_interval`, both of the shape of ``successes``."""
    _check_alpha(alpha)
    hits, trials = np.broadcast_arrays(np.asarray(successes, np.float64), np.asarray(n, np.float64))
    if np.any((hits < 0) | (hits > trials)):
        raise FieldError("successes", str(hits), f"between 0 and n = {trials}")
    return _lower_end(hits, trials, alpha), 1.0 - _lower_end(trials - hits, trials, alpha)


def log_mixture(hits: ArrayLike, trials: ArrayLike) -> NDArray[np.float64]:
    """Return the logarithm of the likelihood, averaged over a prior of the proportion.

    Divided by the true proportion's likelihood it ever exceeds 1 / alpha with odds of at most alpha.
    """
    found, missed = _PRIOR + np.asarray(hits), _PRIOR + np.asarray(trials) - np.asarray(hits)
    return np.asarray(betaln(found, missed) - betaln(_PRIOR, _PRIOR), np.float64)


def _lower_end(hits: NDArray[np.float64], trials: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """Return the smaller p at which the likelihood is alpha times the mixture; 0 without hits.

    In log odds t the likelihood's logarithm hits * t - trials * log(1 + e^t) is concave and below hits * t,
    so that Newton's method climbs to the root from the left without ever passing it.
    """
    level = log_mixture(hits, trials) + log(alpha)
    some = np.maximum(hits, 1.0)
    log_odds = np.where(hits > 0, level / some, 0.0)
    for _ in range(_MAX_NEWTON_STEPS):
        slope = np.where(hits > 0, hits - trials * expit(log_odds), 1.0)
        step = (level - hits * log_odds + trials * np.logaddexp(0.0, log_odds)) / slope
        step = np.where(hits > 0, np.maximum(step, 0.0), 0.0)
        log_odds = log_odds + step
        if np.all(step <= _TOLERANCE * (1.0 + np.abs(log_odds))):
            break
    return np.where(hits > 0, expit(log_odds), 0.0)


def _squared_rho(alpha: float, planned_n: float) -> float:
    """Return the mixture's variance that makes the boundary closest at ``planned_n``."""
    _check_alpha(alpha)
    if not planned_n > 0:
        raise FieldError("planned_n", str(planned_n), "more than 0 users")
    lowest = -float(np.real(lambertw(-(alpha**2) / np.e, k=-1)))
    return (lowest - 1.0) / planned_n


def _check_alpha(alpha: float) -> None:
    if not 0.0 < alpha < 1.0:
        raise FieldError("alpha", str(alpha), "a probability between 0 and 1")
