"""Two proportions compared at all times at once, safe for events that are rare or have never happened.

Both arms' mixtures are multiplied: their product by the likelihood of the true pair is a martingale, however
the arms take turns. So all pairs of proportions whose likelihood is less than alpha times the product can be
left out at once. That is sharper than an interval for each arm at alpha / 2: 3 of 200 against 0 of 20,000
is beyond doubt at 1 % together, but not apart.

Sources: Robbins, as for :func:`recsys.experiments.sequential.proportion_interval`; Turner and Grünwald,
"Exact Anytime-Valid Confidence Intervals for Contingency Tables and Beyond", Statistics and Probability
Letters 2023, on products over two streams.
"""

from collections.abc import Callable
from math import exp, inf, log, sqrt

from scipy.optimize import brentq
from scipy.special import xlog1py, xlogy

from recsys.core.errors import FieldError
from recsys.experiments.sequential import Interval, log_mixture

Counts = tuple[int, int]
"""Successes, and trials."""

_MAX_LOG_RATIO = 60.0
_N_HALVINGS = 60


def p_ratio_above(control: Counts, treatment: Counts, limit: float) -> float:
    """Return an always-valid p-value against "treatment's proportion is at most ``limit`` times control's".

    If that is true, it is ever below alpha with a probability of at most alpha.

    Args:
        control: successes and trials.
        treatment: successes and trials.
        limit: above 0.

    Raises:
        FieldError: the counts or the limit are impossible.

    >>> p_ratio_above((0, 20_000), (3, 200), 1.0) < 0.01 < p_ratio_above((30, 20_000), (3, 2_000), 1.0)
    True
    """
    if not limit > 0.0:
        raise FieldError("limit", str(limit), "a ratio above 0")
    _check(control, treatment)
    if treatment[0] * control[1] <= limit * control[0] * treatment[1]:
        return 1.0
    return _p(control, treatment, _best_with_ratio(control, treatment, limit))


def p_difference_above(control: Counts, treatment: Counts, limit: float) -> float:
    """Return an always-valid p-value against "treatment's proportion is at most control's plus ``limit``".

    Args:
        control: successes and trials.
        treatment: successes and trials.
        limit: in (-1, 1).

    Raises:
        FieldError: the counts or the limit are impossible.
    """
    if not -1.0 < limit < 1.0:
        raise FieldError("limit", str(limit), "a difference of proportions")
    _check(control, treatment)
    if _share(treatment) - _share(control) <= limit or 0 in (control[1], treatment[1]):
        return 1.0
    return _p(control, treatment, _best_with_difference(control, treatment, limit))


def ratio_of_proportions(control: Counts, treatment: Counts, alpha: float) -> Interval:
    """Return an interval for treatment by control that covers it at all times, with odds of 1 - alpha.

    It agrees with :func:`p_ratio_above`. The upper end is infinite while control has had no success.

    Raises:
        FieldError: the counts are impossible.
    """
    _check(control, treatment)
    if 0 in (control[1], treatment[1]):
        return Interval(0.0, inf)

    def excess(log_ratio: float) -> float:
        return _best_with_ratio(control, treatment, exp(log_ratio)) - level

    level = float(log_mixture(*control) + log_mixture(*treatment)) + log(alpha)
    middle = _log_share(treatment) - _log_share(control)
    lower = 0.0 if treatment[0] == 0 else exp(_root(excess, -_MAX_LOG_RATIO, min(middle, _MAX_LOG_RATIO)))
    upper = inf if control[0] == 0 else exp(_root(excess, _MAX_LOG_RATIO, max(middle, -_MAX_LOG_RATIO)))
    return Interval(lower, upper)


def difference_of_proportions(control: Counts, treatment: Counts, alpha: float) -> Interval:
    """Return an interval for treatment less control that covers it at all times, with odds of 1 - alpha.

    It agrees with :func:`p_difference_above`.

    Args:
        control: successes and trials.
        treatment: successes and trials.
        alpha: how probable it may be that the interval ever misses.

    Raises:
        FieldError: the counts are impossible.
    """
    _check(control, treatment)
    if 0 in (control[1], treatment[1]):
        return Interval(-1.0, 1.0)

    def excess(difference: float) -> float:
        return _best_with_difference(control, treatment, difference) - level

    level = float(log_mixture(*control) + log_mixture(*treatment)) + log(alpha)
    middle = _share(treatment) - _share(control)
    return Interval(_root(excess, -1.0, middle), _root(excess, 1.0, middle))


def _p(control: Counts, treatment: Counts, best: float) -> float:
    return min(1.0, exp(min(0.0, best - float(log_mixture(*control) + log_mixture(*treatment)))))


def _best_with_ratio(control: Counts, treatment: Counts, ratio: float) -> float:
    """Return the largest log likelihood of pairs (p, ratio * p): the score is a quadratic in p."""
    (hits, n), (hits_treated, n_treated) = control, treatment
    both = hits + hits_treated
    middle = both * (1.0 + ratio) + (n_treated - hits_treated) * ratio + (n - hits)
    p = 2.0 * both / (middle + sqrt(max(0.0, middle**2 - 4.0 * ratio * (n + n_treated) * both)))
    p = min(p, 1.0, 1.0 / ratio)
    return _log_likelihood(control, p) + _log_likelihood(treatment, min(1.0, p * ratio))


def _best_with_difference(control: Counts, treatment: Counts, difference: float) -> float:
    """Return the largest log likelihood of pairs (p, p + difference), where the score changes sign."""
    low, high = max(0.0, -difference), min(1.0, 1.0 - difference)
    for _ in range(_N_HALVINGS):
        p = (low + high) / 2
        low, high = (p, high) if _score(control, p) + _score(treatment, p + difference) > 0 else (low, p)
    p = (low + high) / 2
    return _log_likelihood(control, p) + _log_likelihood(treatment, min(1.0, max(0.0, p + difference)))


def _score(counts: Counts, p: float) -> float:
    """Return the slope of the log likelihood; ends that rounding reaches are taken as just inside."""
    inside = min(max(p, 1e-300), 1.0 - 1e-16)
    return counts[0] / inside - (counts[1] - counts[0]) / (1.0 - inside)


def _log_likelihood(counts: Counts, p: float) -> float:
    return float(xlogy(counts[0], p) + xlog1py(counts[1] - counts[0], -p))


def _root(excess: Callable[[float], float], outer: float, inner: float) -> float:
    """Return where ``excess`` changes sign between the two; ``outer`` when it does not."""
    if excess(outer) >= 0.0:
        return outer
    return float(brentq(excess, outer, inner, xtol=1e-12))


def _share(counts: Counts) -> float:
    return counts[0] / counts[1] if counts[1] else 0.0


def _log_share(counts: Counts) -> float:
    return log(counts[0] / counts[1]) if counts[0] else -inf


def _check(*arms: Counts) -> None:
    for hits, n in arms:
        if not 0 <= hits <= n:
            raise FieldError("successes", str(hits), f"between 0 and n = {n}")
