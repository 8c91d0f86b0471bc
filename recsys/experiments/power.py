"""How many users an experiment needs, what it can find, and how long it takes; two-sided throughout.

For one look at the end these are the usual formulas. For looks on the way by a confidence sequence there are
none: the test statistic is a Brownian motion in the share of planned users, so power depends only on drift,
alpha and looks, and 20,000 fixed paths of it are counted (0.35 points of standard error at 50 % power,
0.28 at 80 %).
"""

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt
from scipy.optimize import brentq
from scipy.stats import norm

from recsys.core.errors import FieldError
from recsys.core.settings import FrozenModel
from recsys.experiments.sequential import boundary

Test = Literal["sequential", "one look"]

_N_PATHS = 20_000
_SEED = 20_241
_LARGEST_DRIFT = 60.0  # standard errors; beyond it every test is sure


class PowerPlan(FrozenModel):
    """What an experiment shall be able to find."""

    std: PositiveFloat
    """Standard deviation of one user's part in the metric: the root of ``Moments.variance``."""
    n_arms: int = Field(default=1, ge=1)
    """Arms that are each compared with the control."""
    control_share: float = Field(default=0.5, gt=0, lt=1)
    """Of all users; the other arms share the rest equally."""
    alpha: float = Field(default=0.05, gt=0, lt=1)
    """How probable it may be that any arm is said to differ although none does."""
    test: Test = "sequential"
    """Whether one looks on the way and may stop, or once at the end."""
    n_looks: PositiveInt = 14
    """Evenly spaced looks of the sequential test, the last at the end."""

    @property
    def alpha_per_arm(self) -> float:
        """The level of an arm: Holm's first step, which an arm that alone has an effect must pass."""
        return self.alpha / self.n_arms

    @property
    def pair_share(self) -> float:
        """Share of all users that the control and one other arm have together."""
        return self.control_share + (1.0 - self.control_share) / self.n_arms


def power(plan: PowerPlan, n_users: float, effect: float) -> float:
    """Return how probably an arm with this effect is found, with ``n_users`` in all arms together.

    Args:
        plan: what is compared, and how.
        n_users: of all arms, above 0.
        effect: treatment less control, in the metric's unit.
    """
    return _power_at(abs(effect) / _error(plan, n_users), plan.alpha_per_arm, plan.test, plan.n_looks)


def users_needed(plan: PowerPlan, effect: float, wanted_power: float = 0.8) -> int:
    """Return how many users of all arms together find the effect with the wanted power.

    Raises:
        FieldError: the effect is 0, or the power is not above alpha and below 1.
    """
    if effect == 0.0:
        raise FieldError("effect", "0", "a difference that shall be found")
    drift = drift_needed(plan, wanted_power)
    return ceil((_error(plan, 1.0) * drift / effect) ** 2)


def smallest_effect(plan: PowerPlan, n_users: float, wanted_power: float = 0.8) -> float:
    """Return the smallest difference that ``n_users`` of all arms find with the wanted power.

    Raises:
        FieldError: the power is not above alpha and below 1.
    """
    return drift_needed(plan, wanted_power) * _error(plan, n_users)


def mean_users(plan: PowerPlan, n_users: float, effect: float) -> float:
    """Return how many users of all arms have come, on average, when the test is stopped.

    The sequential test stops at the first look that finds a difference, at the latest with ``n_users``.
    """
    if plan.test == "one look":
        return n_users
    upper, lower = _thresholds(plan.alpha_per_arm, plan.n_looks)
    drift = abs(effect) / _error(plan, n_users)
    outside = (upper < drift) | (lower > drift)
    outside[:, -1] = True
    return float(np.mean(outside.argmax(axis=1) + 1)) / plan.n_looks * n_users


def days_needed(n_users: float, new_users_by_day: float | Sequence[float]) -> int | None:
    """Return after how many days so many users have come, and None if they never do.

    Args:
        n_users: of all arms.
        new_users_by_day: users that were not there on an earlier day, of each day or of every day alike.
    """
    if isinstance(new_users_by_day, int | float):
        return ceil(n_users / new_users_by_day) if new_users_by_day > 0.0 else None
    come = np.cumsum(np.asarray(new_users_by_day, dtype=np.float64))
    day = int(np.searchsorted(come, n_users))
    return day + 1 if day < come.size else None


def drift_needed(plan: PowerPlan, wanted_power: float) -> float:
    """Return how many standard errors, at the end, the effect must be away from 0.

    Raises:
        FieldError: the power is not above alpha and below 1.
    """
    alpha = plan.alpha_per_arm
    if not alpha < wanted_power < 1.0:
        raise FieldError("power", str(wanted_power), f"more than alpha = {alpha:g} and less than 1")

    def missing(drift: float) -> float:
        return _power_at(drift, alpha, plan.test, plan.n_looks) - wanted_power

    return float(brentq(missing, 0.0, _LARGEST_DRIFT, xtol=1e-6))


def _error(plan: PowerPlan, n_users: float) -> float:
    """Return the standard error of the difference between the control and one arm."""
    if not n_users > 0:
        raise FieldError("n_users", str(n_users), "more than 0 users")
    treated_share = (1.0 - plan.control_share) / plan.n_arms
    return plan.std * sqrt((1.0 / plan.control_share + 1.0 / treated_share) / n_users)


def _power_at(drift: float, alpha: float, test: Test, n_looks: int) -> float:
    if test == "one look":
        edge = float(norm.isf(alpha / 2))
        return float(norm.sf(edge - drift) + norm.cdf(-edge - drift))
    upper, lower = _outermost(alpha, n_looks)
    return float(np.mean((upper < drift) | (lower > drift)))


@lru_cache(maxsize=8)
def _outermost(alpha: float, n_looks: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return above, and below, which drift each path is outside at some look; both of shape (paths,)."""
    upper, lower = _thresholds(alpha, n_looks)
    return np.min(upper, axis=1), np.max(lower, axis=1)


@lru_cache(maxsize=8)
def _thresholds(alpha: float, n_looks: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return above, and below, which drift each path is outside the boundary at each look.

    With drift d a path is B(s) + d * s at share s of the planned users, and outside above where that is more
    than boundary * sqrt(s): d > (boundary * sqrt(s) - B(s)) / s. Both have shape (paths, looks).
    """
    shares = np.arange(1, n_looks + 1) / n_looks
    steps = np.random.default_rng(_SEED).standard_normal((_N_PATHS // 2, n_looks)) * sqrt(1.0 / n_looks)
    walk = np.cumsum(np.concatenate([steps, -steps]), axis=1)  # mirrored: as many luckily up as down
    edge = boundary(shares, alpha, 1.0) * np.sqrt(shares)
    return (edge - walk) / shares, (-edge - walk) / shares
