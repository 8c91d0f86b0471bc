"""What is kept of an arm: how many users, and the means and covariances of their figures, in 15 numbers.

A metric has a row per user (the unit that was dealt): a numerator and a denominator. A plain mean per user
has denominator 1; a ratio (watches by items shown) has both, and its value is the ratio of the sums. ``pre``
is the same user's figure from before the experiment, for CUPED, and may be missing.
"""

from collections.abc import Iterable
from functools import reduce
from math import nan

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, NonNegativeInt

from recsys.core.errors import FieldError, ShapeError
from recsys.core.settings import FrozenModel

NUMERATOR, DENOMINATOR, PRE, HAS_PRE = range(4)
N_COLUMNS = 4
_PAIRS = np.triu_indices(N_COLUMNS)
_N_PAIRS = len(_PAIRS[0])


class Moments(FrozenModel):
    """Sufficient statistics of disjoint users: those of two groups add up to those of both together.

    Only users of one arm are to be added, and no user twice: then days, shards and segments may be added in
    any order, and all sums agree to rounding.
    """

    n: NonNegativeInt = 0
    """Users."""
    means: tuple[float, ...] = Field(default=(0.0,) * N_COLUMNS, min_length=N_COLUMNS, max_length=N_COLUMNS)
    """Of numerator, denominator, ``pre`` (0 where it is missing), and whether ``pre`` is there."""
    products: tuple[float, ...] = Field(default=(0.0,) * _N_PAIRS, min_length=_N_PAIRS, max_length=_N_PAIRS)
    """Sums of products of deviations from the means, the upper triangle row by row."""

    def __add__(self, other: "Moments") -> "Moments":
        n = self.n + other.n
        if self.n == 0 or other.n == 0:
            return self if other.n == 0 else other
        mine, theirs = np.asarray(self.means), np.asarray(other.means)
        apart = theirs - mine
        between = np.outer(apart, apart)[_PAIRS] * (self.n * (other.n / n))
        means = (self.n * mine + other.n * theirs) / n
        return _moments(n, means, np.asarray(self.products) + other.products + between)

    @property
    def ratio(self) -> float:
        """Sum of numerators over sum of denominators, the mean per user of a plain metric; nan without."""
        return self.means[NUMERATOR] / self.means[DENOMINATOR] if self.means[DENOMINATOR] != 0.0 else nan

    @property
    def variance(self) -> float:
        """Variance of one user's part in :attr:`ratio`: divided by ``n`` it is that of the ratio.

        nan with fewer than two users or no denominator.

        Source: Deng, Knoblich and Lu, "Applying the Delta Method in Metric Analytics", KDD 2018, section 3.
        """
        if self.n < 2 or self.means[DENOMINATOR] == 0.0:
            return nan
        squares, crossed, squares_below = self.products[0], self.products[1], self.products[N_COLUMNS]
        about_the_line = squares - 2.0 * self.ratio * crossed + self.ratio**2 * squares_below
        return max(0.0, about_the_line) / (self.means[DENOMINATOR] ** 2 * (self.n - 1))

    def covariance(self) -> NDArray[np.float64]:
        """Return the sample covariances of the four columns, shape (4, 4); zeros below two users."""
        square = np.zeros((N_COLUMNS, N_COLUMNS))
        square[_PAIRS] = self.products
        square += np.triu(square, 1).T
        return square / max(1, self.n - 1)

    def mapped(self, linear: NDArray[np.float64], constant: NDArray[np.float64]) -> "Moments":
        """Return the moments of the columns ``linear @ column + constant``, shapes (4, 4) and (4,)."""
        products = linear @ (self.covariance() * max(1, self.n - 1)) @ linear.T
        return _moments(
            self.n, linear @ np.asarray(self.means) + constant, np.asarray(products[_PAIRS], np.float64)
        )

    def scaled(self, factor: float) -> "Moments":
        """Return the moments of the same users with every numerator multiplied by ``factor``."""
        return self.mapped(np.diag([factor, 1.0, 1.0, 1.0]), np.zeros(N_COLUMNS))


def moments_of(
    numerator: ArrayLike, denominator: ArrayLike | None = None, pre: ArrayLike | None = None
) -> Moments:
    """Reduce the users of an arm.

    Args:
        numerator: shape (users,), finite.
        denominator: shape (users,), finite; 1 for everybody when None.
        pre: shape (users,), nan where it is missing; missing for everybody when None.

    Raises:
        ShapeError: the arrays are not of equally many users.
        FieldError: a numerator or denominator is not finite, or ``pre`` is infinite.

    >>> moments_of([1.0, 3.0, 2.0]).ratio, moments_of([1.0, 3.0], [2.0, 6.0]).ratio
    (2.0, 0.5)
    """
    n = np.size(numerator)
    return moments_by_group(np.zeros(n, dtype=np.int64), 1, numerator, denominator, pre)[0]


def moments_by_group(
    groups: NDArray[np.int64],
    n_groups: int,
    numerator: ArrayLike,
    denominator: ArrayLike | None = None,
    pre: ArrayLike | None = None,
) -> list[Moments]:
    """Reduce users group by group in one pass; see :func:`moments_of`.

    Args:
        groups: shape (users,), the group of each user, in [0, n_groups).
        n_groups: how many come back; a group without users has ``n`` = 0.
        numerator: as in :func:`moments_of`, and so are the rest.
        denominator: as there.
        pre: as there.

    Raises:
        ShapeError: the arrays are not of equally many users.
        FieldError: a numerator or denominator is not finite, or ``pre`` is infinite.
    """
    columns = _columns(len(groups), numerator, denominator, pre)
    counts = np.bincount(groups, minlength=n_groups)
    at_least_one = np.maximum(counts, 1)
    sums = [np.bincount(groups, weights=column, minlength=n_groups) for column in columns]
    means = np.asarray(np.stack(sums) / at_least_one, np.float64)
    apart = columns - means[:, groups]
    products = np.array(
        [
            np.bincount(groups, weights=apart[i] * apart[j], minlength=n_groups)
            for i, j in zip(*_PAIRS, strict=True)
        ],
        dtype=np.float64,
    )
    return [_moments(int(counts[g]), means[:, g], products[:, g]) for g in range(n_groups)]


def merged(parts: Iterable[Moments]) -> Moments:
    """Return the moments of all parts together, which share no user."""
    return reduce(Moments.__add__, parts, Moments())


def _columns(
    n: int, numerator: ArrayLike, denominator: ArrayLike | None, pre: ArrayLike | None
) -> NDArray[np.float64]:
    before = np.full(n, nan) if pre is None else np.asarray(pre, dtype=np.float64)
    given = {
        "numerator": np.asarray(numerator, dtype=np.float64),
        "denominator": np.ones(n) if denominator is None else np.asarray(denominator, dtype=np.float64),
        "pre": np.where(np.isnan(before), 0.0, before),
        "has_pre": (~np.isnan(before)).astype(np.float64),
    }
    for name, column in given.items():
        if column.shape != (n,):
            raise ShapeError(name, (n,), column.shape)
        if not np.isfinite(column).all():
            raise FieldError(name, "a number that is not finite", "finite numbers")
    return np.stack(list(given.values()))


def _moments(n: int, means: NDArray[np.float64], products: NDArray[np.float64]) -> Moments:
    return Moments(n=n, means=tuple(means.tolist()), products=tuple(products.tolist()))
