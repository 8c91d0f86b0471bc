"""Sample-ratio mismatch: users were not dealt as the shares say, so nothing else can be trusted.

Source: Fabijan et al., "Diagnosing Sample Ratio Mismatch in Online Controlled Experiments", KDD 2019.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, logsumexp, xlogy
from scipy.stats import chisquare

from recsys.core.errors import FieldError, ShapeError

_CONCENTRATIONS = (100.0, 3_000.0)
"""Of the two priors about the shares, in users: one looks for shares that are off by about 5 points, which a
few hundred users show, the other for about 1 point, which takes many thousands."""


def sequential_p_value(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Return a p-value that may be looked at as often as one likes.

    Args:
        counts: users found in each arm.
        shares: what each arm was dealt, above 0, together 1.

    Returns:
        In (0, 1]; if the shares are right, it is ever below alpha with a probability of at most alpha.

    Raises:
        ShapeError: there are not as many counts as shares.
        FieldError: a share is not above 0, or a count is negative.

    Source: Lindon and Malek, "Anytime-Valid Inference for Multinomial Count Data", NeurIPS 2022. The mean of
    two such martingales is one too.
    """
    return float(sequential_p_values(counts, shares))


def sequential_p_values(counts: ArrayLike, shares: Sequence[float]) -> NDArray[np.float64]:
    """Return :func:`sequential_p_value` of many samples; counts of shape (..., arms) give shape (...)."""
    return _p_of(_average_log_odds(counts, shares))


def p_value_over_stretches(counts: Sequence[Sequence[int]], shares: Sequence[Sequence[float]]) -> float:
    """Return a p-value for all times where shares changed, as in a rollout: one row per stretch of time.

    A user counts in the first stretch alone, so stretches share nobody and their odds multiply.

    Raises:
        ShapeError: there are not as many counts as shares.
        FieldError: a share is not above 0, or a count is negative.
    """
    log_odds = sum(float(_average_log_odds(*row)) for row in zip(counts, shares, strict=True))
    return float(_p_of(np.asarray(log_odds)))


def chi_square_p_value(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Return Pearson's p-value, for one look that was fixed beforehand; 1 without users or other arms.

    Raises:
        ShapeError: there are not as many counts as shares.
        FieldError: a share is not above 0, or a count is negative.
    """
    found, dealt = _checked(counts, shares)
    if found.sum() == 0.0 or found.size < 2:
        return 1.0
    return float(chisquare(found, found.sum() * dealt).pvalue)


def _average_log_odds(counts: ArrayLike, shares: Sequence[float]) -> NDArray[np.float64]:
    found, dealt = _checked(counts, shares)
    log_odds = [_log_odds(found, dealt, concentration) for concentration in _CONCENTRATIONS]
    return np.asarray(logsumexp(np.stack(log_odds), axis=0) - np.log(len(_CONCENTRATIONS)), np.float64)


def _p_of(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(-np.clip(log_odds, 0.0, 700.0)), np.float64)


def _log_odds(
    found: NDArray[np.float64], dealt: NDArray[np.float64], concentration: float
) -> NDArray[np.float64]:
    """Return the log odds of "shares drawn from a Dirichlet around the dealt" against the dealt shares."""
    prior = concentration * dealt
    against = (gammaln(prior + found) - gammaln(prior)).sum(axis=-1)
    n = found.sum(axis=-1)
    odds = gammaln(concentration) - gammaln(concentration + n) + against - xlogy(found, dealt).sum(axis=-1)
    return np.asarray(odds, np.float64)


def _checked(counts: ArrayLike, shares: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    found, dealt = np.asarray(counts, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    if found.shape[-1:] != dealt.shape:
        raise ShapeError("counts", dealt.shape, found.shape)
    if not (dealt > 0.0).all():
        raise FieldError("shares", str(list(shares)), "each above 0")
    if (found < 0).any():
        raise FieldError("counts", "a negative number", "numbers of users")
    return found, dealt / dealt.sum()  # the sum may be off 1 in the last bit
