"""Intervals that hold at all times at once: look as often as you like, stop when you like."""

from math import log
from typing import NamedTuple

from scipy.optimize import brentq
from scipy.special import betaln, xlog1py, xlogy

_PRIOR = 0.5  # Jeffreys': as sharp for rare events as for even ones
_ROOT_TOLERANCE = 1e-12


class Interval(NamedTuple):
    """Both ends belong to it."""

    lower: float
    upper: float


def proportion_interval(successes: int, n: int, alpha: float) -> Interval:
    """Return an interval for a proportion that covers it at every ``n``, all with odds of 1 - alpha.

    No sample is too small: with ``n`` = 0 it is [0, 1].

    Args:
        successes: how many of ``n``.
        n: independent trials so far.
        alpha: how probable it may be that the interval ever misses.

    Source: Robbins, "Statistical Methods Related to the Law of the Iterated Logarithm", Annals of
    Mathematical Statistics 1970: the beta-binomial mixture is a martingale under the true proportion, and
    Ville's inequality bounds how often it ever exceeds 1 / alpha.
    """
    if n == 0:
        return Interval(0.0, 1.0)
    mixture = float(betaln(_PRIOR + successes, _PRIOR + n - successes) - betaln(_PRIOR, _PRIOR) + log(alpha))

    def excess(p: float) -> float:
        return mixture - float(xlogy(successes, p) + xlog1py(n - successes, -p))

    found = successes / n
    lower = 0.0 if successes == 0 else float(brentq(excess, 0.0 + 1e-300, found, xtol=_ROOT_TOLERANCE))
    upper = 1.0 if successes == n else float(brentq(excess, found, 1.0 - 1e-16, xtol=_ROOT_TOLERANCE))
    return Interval(lower, upper)
