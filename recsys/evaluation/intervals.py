"""How sure a mean over users is: the percentile bootstrap, alone and for the difference of two models.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import ShapeError

N_RESAMPLES = 1_000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over users and the interval that holds it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean of one model minus mean of another, over the same users."""

    value: float
    low: float
    high: float
    p: float
    """Twice the share of resamples with the difference on the other side of 0: above 0, at most 1."""

    @property
    def significant(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0.0 or self.high < 0.0


def resampled_means(
    values: NDArray[np.float64], *, seed: int, n_resamples: int = N_RESAMPLES
) -> NDArray[np.float64]:
    """Draw users with replacement, as many as there are, and take the means; the same draw for all columns.

    Args:
        values: shape (users, columns).
        seed: equal seeds and equally many users give equal draws, so differences of results are paired.
        n_resamples: how many draws.

    Returns:
        shape (n_resamples, columns).

    Raises:
        ShapeError: there is no user.
    """
    n_users = len(values)
    if n_users == 0:
        raise ShapeError("values", (1, values.shape[1]), values.shape)
    means = np.empty((n_resamples, values.shape[1]))
    for draw, times_drawn in zip(means, draws(n_users, seed=seed, n_resamples=n_resamples), strict=True):
        draw[:] = times_drawn @ values / n_users
    return means


def draws(n_users: int, *, seed: int, n_resamples: int = N_RESAMPLES) -> Iterator[NDArray[np.int64]]:
    """Yield how often each user is drawn, shape (users,), one draw after another.

    Equal seeds and equally many users give equal draws, here and in :func:`resampled_means`.
    """
    rng = np.random.default_rng(seed)
    for _ in range(n_resamples):  # one at a time: memory stays at one number per user
        yield np.bincount(rng.integers(0, n_users, n_users), minlength=n_users)


def interval_of(value: float, resampled: NDArray[np.float64], *, level: float = LEVEL) -> Interval:
    """Return the interval of a figure of all users whose resamples are at hand, shape (n_resamples,).

    Draws of users among whom nothing can be compared are nan; they do not count.
    """
    low, high = _percentiles(resampled[~np.isnan(resampled)], level)
    return Interval(value, float(low), float(high))


def difference_of(value: float, resampled: NDArray[np.float64], *, level: float = LEVEL) -> Difference:
    """Return the interval of a difference and how surely it is one; ``resampled`` of the same draws.

    Draws that are nan do not count.
    """
    told = resampled[~np.isnan(resampled)]
    low, high = _percentiles(told, level)
    return Difference(value, float(low), float(high), float(_p(told)))


def intervals(
    values: NDArray[np.float64], *, seed: int, n_resamples: int = N_RESAMPLES, level: float = LEVEL
) -> list[Interval]:
    """Return the mean of each column of ``values`` (users, columns) with its bootstrap interval.

    Raises:
        ShapeError: there is no user.
    """
    low, high = _percentiles(resampled_means(values, seed=seed, n_resamples=n_resamples), level)
    return [Interval(*map(float, three)) for three in zip(values.mean(axis=0), low, high, strict=True)]


def paired_differences(
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
    *,
    seed: int,
    n_resamples: int = N_RESAMPLES,
    level: float = LEVEL,
) -> list[Difference]:
    """Return ours - theirs, column by column, resampling users (not models): the two are of the same users.

    Args:
        ours: shape (users, columns).
        theirs: the same shape, the same users in the same order.
        seed: of the draws.
        n_resamples: how many draws.
        level: share of the draws inside the interval.

    Raises:
        ShapeError: the shapes differ, or there is no user.
    """
    if ours.shape != theirs.shape:
        raise ShapeError("theirs", ours.shape, theirs.shape)
    difference = ours - theirs
    means = resampled_means(difference, seed=seed, n_resamples=n_resamples)
    low, high = _percentiles(means, level)
    figures = zip(difference.mean(axis=0), low, high, _p(means), strict=True)
    return [Difference(*map(float, four)) for four in figures]


def _p(resampled: NDArray[np.float64]) -> NDArray[np.float64]:
    other_side = np.minimum((resampled <= 0.0).sum(axis=0), (resampled >= 0.0).sum(axis=0))
    least = 2.0 * (other_side + 1) / (len(resampled) + 1)  # never 0: that would claim certainty
    return np.asarray(np.minimum(1.0, least))


def _percentiles(means: NDArray[np.float64], level: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail], axis=0)
    return low, high
