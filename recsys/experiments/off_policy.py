"""What another policy would have been worth, from lists in which chance decided with known odds.

Each row is a place that chance filled: some choices, the chance of each, the one that was taken, and the
reward that came of it. A policy says how probably it would have taken each choice instead. Three estimates
of its mean reward, all with the weight w = policy's probability / logged chance of the choice taken:

- IPS: mean of w r. No bias; few large weights make it vary much.
- SNIPS: sum of w r / sum of w. Steadier; a bias that vanishes with the number of rows.
- doubly robust: mean of the policy's predicted reward + w (r - predicted r). No bias as the chances are
  known; the better the prediction, the less it varies.

Users and not rows are taken as independent: sums per user, ratios by the delta method.

Sources: Horvitz and Thompson, "A Generalization of Sampling Without Replacement from a Finite Universe",
JASA 1952; Swaminathan and Joachims, "The Self-Normalized Estimator for Counterfactual Learning", NeurIPS
2015; Dudik, Langford and Li, "Doubly Robust Policy Evaluation and Learning", ICML 2011; Kish, "Survey
Sampling", 1965 (effective sample size).
"""

from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from recsys.core.errors import FieldError, ShapeError
from recsys.core.settings import FrozenModel
from recsys.experiments.moments import Moments, moments_of

Floats = NDArray[np.float64]

_TOLERANCE = 1e-6
_FEWEST_USERS = 10  # of fewer no spread can be told


@dataclass(frozen=True, slots=True)
class LoggedChoices:
    """Places that chance filled: row ``r`` had the choices offsets[r]:offsets[r + 1].

    Raises:
        ShapeError: the arrays do not fit together.
        FieldError: the chances are not chances, or nothing was left to chance.
    """

    offsets: NDArray[np.int64]  # shape (rows + 1,)
    chances: Floats  # shape (choices,), in (0, 1], together 1 in each row
    chosen: NDArray[np.int64]  # shape (rows,), row number into the choices
    rewards: Floats  # shape (rows,), finite
    units: NDArray[np.int64]  # shape (rows,), who was asked: 0, 1, ...

    def __post_init__(self) -> None:
        n = len(self.offsets) - 1
        for name in ("chosen", "rewards", "units"):
            if getattr(self, name).shape != (n,):
                raise ShapeError(name, (n,), getattr(self, name).shape)
        if self.chances.shape != (int(self.offsets[-1]),):
            raise ShapeError("chances", (int(self.offsets[-1]),), self.chances.shape)
        self._check_chances()
        if ((self.chosen < self.offsets[:-1]) | (self.chosen >= self.offsets[1:])).any():
            raise FieldError("chosen", "a choice of another row", "one of the row's own")
        if not np.isfinite(self.rewards).all():
            raise FieldError("rewards", "a number that is not finite", "finite numbers")

    def _check_chances(self) -> None:
        unknown = ~np.isfinite(self.chances)
        if unknown.any():
            got = f"{unknown.sum():,} of {self.chances.size:,} unknown"
            raise FieldError("chances", got, "the chance of every choice: what chance was is not known")
        if not ((self.chances > 0.0) & (self.chances <= 1.0 + _TOLERANCE)).all():
            raise FieldError("chances", "one outside (0, 1]", "chances in (0, 1]")
        if (np.abs(self.sums(self.chances) - 1.0) > _TOLERANCE).any():
            raise FieldError("chances", "a row that is not 1 together", "1 in each row")
        if self.n_rows and (self.chances > 1.0 - _TOLERANCE).all():
            got = f"1.0 in all {self.n_rows:,} rows"
            raise FieldError("chances", got, "rows in which chance decided: set exploration's share above 0")

    @property
    def n_rows(self) -> int:
        """How many places there are."""
        return len(self.offsets) - 1

    @property
    def rows(self) -> NDArray[np.int64]:
        """The row of every choice, shape (choices,)."""
        return np.repeat(np.arange(self.n_rows), np.diff(self.offsets))

    def sums(self, values: Floats) -> Floats:
        """Sum figures of the choices row by row, shape (choices,) -> (rows,)."""
        summed: Floats = np.bincount(self.rows, values, self.n_rows).astype(np.float64)
        return summed

    def own(self) -> Floats:
        """Return the policy that always takes the first choice: the ranking's own item."""
        policy = np.zeros(len(self.chances))
        policy[self.offsets[:-1]] = 1.0
        return policy

    def best(self, scores: Floats) -> Floats:
        """Return the policy that takes the choice with the highest score, of equal ones the first.

        Args:
            scores: shape (choices,).
        """
        order = np.lexsort((np.arange(len(scores)), -scores, self.rows))
        policy = np.zeros(len(self.chances))
        policy[order[self.offsets[:-1]]] = 1.0
        return policy


class Estimate(FrozenModel):
    """A mean reward, how sure it is, and an interval."""

    value: float
    standard_error: float
    lower: float
    upper: float


class OffPolicyEstimates(FrozenModel):
    """What a policy would have been worth."""

    n_rows: int
    n_users: int
    agreement: float
    """Share of the rows in which the policy could have taken what was taken."""
    effective_rows: float
    """As many rows of the policy's own would be worth as much; Kish: (sum of w)^2 / sum of w^2."""
    largest_weight: float
    ips: Estimate
    snips: Estimate
    doubly_robust: Estimate | None
    """None without predictions."""


def estimate(
    logged: LoggedChoices, policy: Floats, *, predicted: Floats | None = None, alpha: float = 0.05
) -> OffPolicyEstimates:
    """Estimate the mean reward of a policy.

    Args:
        logged: places that chance filled.
        policy: shape (choices,): how probably it would take each choice, together 1 in each row.
        predicted: shape (choices,): the reward each would bring, by a model that has not seen the row.
        alpha: odds that an interval misses.

    Raises:
        ShapeError: policy or predictions are not of the logged choices.
        FieldError: the policy would take what was not among the choices, or never what was taken, or there
            are too few users.
    """
    _check_policy(logged, policy)
    weights = policy[logged.chosen] / logged.chances[logged.chosen]
    if not weights.any():
        got = f"never what was shown in {logged.n_rows:,} rows"
        raise FieldError("policy", got, "rows that agree: explore more, or wait for more lists")
    return OffPolicyEstimates(
        n_rows=logged.n_rows,
        n_users=len(np.unique(logged.units)),
        agreement=float((weights > 0.0).mean()),
        effective_rows=float(weights.sum() ** 2 / (weights**2).sum()),
        largest_weight=float(weights.max()),
        ips=_estimate(logged, weights * logged.rewards, np.ones(logged.n_rows), alpha),
        snips=_estimate(logged, weights * logged.rewards, weights, alpha),
        doubly_robust=None if predicted is None else _doubly_robust(logged, policy, predicted, alpha),
    )


def difference(
    logged: LoggedChoices, policy: Floats, other: Floats, *, predicted: Floats, alpha: float = 0.05
) -> Estimate:
    """Estimate by how much a policy's mean reward exceeds another's, doubly robust, on the same rows.

    Args:
        logged: places that chance filled.
        policy: shape (choices,).
        other: same shape.
        predicted: same shape, see :func:`estimate`.
        alpha: odds that the interval misses.

    Raises:
        ShapeError: as :func:`estimate`.
        FieldError: as there.
    """
    _check_policy(logged, policy)
    _check_policy(logged, other)
    return _doubly_robust(logged, policy - other, predicted, alpha)


def cross_fitted(logged: LoggedChoices, features: Floats, *, n_folds: int = 5, ridge: float = 1.0) -> Floats:
    """Predict the reward of every choice by ridge regression on the rows of *other* users.

    Args:
        logged: places that chance filled.
        features: shape (choices, features), without an intercept.
        n_folds: users are dealt to so many folds, by number.
        ridge: how strongly coefficients are drawn to 0; the intercept is not.

    Returns:
        shape (choices,).

    Source: Chernozhukov et al., "Double/Debiased Machine Learning", Econometrics Journal 2018.
    """
    design = np.column_stack([np.ones(len(features)), features])
    penalty = ridge * np.eye(design.shape[1])
    penalty[0, 0] = 1e-9
    folds = np.unique(logged.units, return_inverse=True)[1] % n_folds
    predicted = np.zeros(len(features))
    for fold in range(n_folds):
        learned = folds != fold
        taken, rewards = design[logged.chosen[learned]], logged.rewards[learned]
        weights = np.linalg.solve(taken.T @ taken + penalty, taken.T @ rewards)
        mine = (folds == fold)[logged.rows]
        predicted[mine] = design[mine] @ weights
    return predicted


def _check_policy(logged: LoggedChoices, policy: Floats) -> None:
    if policy.shape != logged.chances.shape:
        raise ShapeError("policy", logged.chances.shape, policy.shape)
    n_users = len(np.unique(logged.units))
    if n_users < _FEWEST_USERS:
        raise FieldError("users", f"{n_users}", f"at least {_FEWEST_USERS} whose lists explored")
    outside = 1.0 - logged.sums(policy)
    if not np.isfinite(policy).all() or (policy < 0.0).any() or (outside < -_TOLERANCE).any():
        raise FieldError("policy", "something that is no probability", "numbers in [0, 1], 1 in each row")
    if (outside > _TOLERANCE).any():
        got = f"{outside.mean():.1%} of its choices where chance never was"
        raise FieldError("policy", got, "a policy that takes only what could have been shown")


def _doubly_robust(logged: LoggedChoices, policy: Floats, predicted: Floats, alpha: float) -> Estimate:
    if predicted.shape != logged.chances.shape:
        raise ShapeError("predicted", logged.chances.shape, predicted.shape)
    weights = policy[logged.chosen] / logged.chances[logged.chosen]
    expected = logged.sums(policy * predicted)
    corrected = expected + weights * (logged.rewards - predicted[logged.chosen])
    return _estimate(logged, corrected, np.ones(logged.n_rows), alpha)


def _estimate(logged: LoggedChoices, above: Floats, below: Floats, alpha: float) -> Estimate:
    """Return sum of ``above`` over sum of ``below``, shapes (rows,), by the delta method over users."""
    users = np.unique(logged.units, return_inverse=True)[1]
    moments: Moments = moments_of(np.bincount(users, above), np.bincount(users, below))
    error = sqrt(moments.variance / moments.n) if isfinite(moments.variance) else float("nan")
    half = float(stdtrit(moments.n - 1, 1.0 - alpha / 2)) * error
    value = moments.ratio
    return Estimate(value=value, standard_error=error, lower=value - half, upper=value + half)
