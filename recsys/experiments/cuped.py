"""CUPED: what users did before explains a part of what they do now; that part is taken out as noise.

Source: Deng, Xu, Kohavi and Walker, "Improving the Sensitivity of Online Controlled Experiments by Utilizing
Pre-Experiment Data", WSDM 2013. Whether one has a past at all is a second covariate: users without one are a
stratum of their own, and none is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.experiments.moments import DENOMINATOR, HAS_PRE, N_COLUMNS, NUMERATOR, PRE, Moments, merged

_COVARIATES = [PRE, HAS_PRE]
_RELATIVE_RANK = 1e-10  # a covariate with less variance of its own than this share is left out


@dataclass(frozen=True, slots=True)
class Adjusted:
    """The arms as if chance had dealt each of them users with the same past."""

    arms: Mapping[str, Moments]
    """Arm -> moments, for every function that takes moments."""
    variance_removed: float
    """Share in [0, 1] of the variance within arms; 0 without pre-period figures."""
    theta: tuple[float, float]
    """By how much one more of ``pre``, and having one at all, moves a user's part in the metric."""


def adjust(arms: Mapping[str, Moments]) -> Adjusted:
    """Take out of every arm what its users' past explains.

    ``pre`` must be from before the first exposure, or the effect is taken out with it. All arms share one
    theta, so none is favoured.

    Args:
        arms: arm -> its moments, of a plain metric or of a ratio.
    """
    usable = [moments for moments in arms.values() if moments.variance >= 0.0]  # nan is not
    theta = _theta(usable)
    past = np.asarray(merged(arms.values()).means)[_COVARIATES]
    adjusted = {arm: _without_past(moments, theta, past) for arm, moments in arms.items()}
    before = sum((m.n - 1) * m.variance for m in usable)
    after = sum((m.n - 1) * m.variance for m in adjusted.values() if m.variance >= 0.0)
    removed = 1.0 - after / before if before > 0.0 else 0.0
    return Adjusted(adjusted, min(1.0, max(0.0, removed)), (float(theta[0]), float(theta[1])))


def _theta(arms: list[Moments]) -> NDArray[np.float64]:
    """Regress users' parts in the metric on their past, within arms; zeros where there is none."""
    among, with_metric = np.zeros((2, 2)), np.zeros(2)
    for moments in arms:
        gradient = np.zeros(N_COLUMNS)
        gradient[NUMERATOR], gradient[DENOMINATOR] = 1.0, -moments.ratio
        products = moments.covariance() * (moments.n - 1)
        among += products[np.ix_(_COVARIATES, _COVARIATES)]
        with_metric += products[_COVARIATES] @ gradient / moments.means[DENOMINATOR]
    scale = np.sqrt(np.diag(among))
    scale[scale == 0.0] = 1.0
    correlation = among / np.outer(scale, scale)
    solved = np.linalg.lstsq(correlation, with_metric / scale, rcond=_RELATIVE_RANK)[0]
    return np.asarray(solved / scale, np.float64)


def _without_past(moments: Moments, theta: NDArray[np.float64], past: NDArray[np.float64]) -> Moments:
    """Take theta times the user's past, less everybody's, out of each user's part in the metric.

    A user's part is the numerator by the mean denominator, so the numerator gives up that many times as much.
    """
    linear, constant = np.eye(N_COLUMNS), np.zeros(N_COLUMNS)
    linear[NUMERATOR, _COVARIATES] = -moments.means[DENOMINATOR] * theta
    constant[NUMERATOR] = moments.means[DENOMINATOR] * theta @ past
    return moments.mapped(linear, constant)
