"""What divergence a window has when nothing has drifted: from the reference itself, users taken as wholes."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat
from scipy.stats import gamma

from recsys.core.settings import FrozenModel
from recsys.drift.divergence import jensen_shannon, jensen_shannon_rows
from recsys.drift.tally import Tally

_RESAMPLES: Final = 400
_MOST_RESAMPLED: Final = 2_000  # clusters of a resample: divergences of larger ones are smaller in proportion
_FEWEST_PER_WINDOW: Final = 10
_FEWEST_WINDOWS: Final = 7  # below, how windows differ among themselves says little


class Null(FrozenModel):
    """Moments of a divergence times the effective number of clusters, without drift.

    Divergences of this kind are sums of squares once there are enough clusters, whatever users have in common
    with themselves: weighted sums of chi-squares, which a gamma distribution with the right mean and variance
    follows far into the tail. So a small level needs no million of resamples.

    Source: Rao and Scott, "The Analysis of Categorical Data from Complex Sample Surveys", JASA 1981;
    Satterthwaite, "An Approximate Distribution of Estimates of Variance Components", Biometrics 1946.
    """

    mean: NonNegativeFloat
    variance: NonNegativeFloat

    def threshold(self, level: float, n_effective: float) -> float:
        """Return what a window without drift exceeds with the chance ``level``."""
        if min(self.mean, self.variance) == 0.0:
            return 0.0
        shape, scale = self._gamma()
        return float(gamma.isf(level, shape, scale=scale)) / n_effective

    def p_value(self, divergence: float, n_effective: float) -> float:
        """Return the chance that a window without drift diverges at least so far."""
        if min(self.mean, self.variance) == 0.0:
            return 1.0 if divergence <= 0.0 else 0.0
        shape, scale = self._gamma()
        return float(gamma.sf(divergence * n_effective, shape, scale=scale))

    def _gamma(self) -> tuple[float, float]:
        return self.mean**2 / self.variance, self.variance / self.mean


def effective(n_window: int, n_reference: int) -> float:
    """Return the number of clusters that a comparison is worth; the reference is a sample, too.

    >>> effective(100, 100)
    50.0
    """
    return 1.0 / (1.0 / n_window + 1.0 / n_reference)


def calibrate(tally: Tally, n_window: int, rng: np.random.Generator) -> Null:
    """Measure how far windows without drift diverge from the reference.

    Two ways, of which the greater counts: clusters drawn anew from all windows together (chance among users),
    and each window of the reference against the others (what days have of their own, besides).

    Args:
        tally: of the reference.
        n_window: clusters of a usual window.
        rng: draws the resamples.
    """
    drawn = resampled(tally, n_window, rng)
    mean, variance = float(drawn.mean()), float(drawn.var(ddof=1))
    found = left_out(tally)
    if len(found) >= _FEWEST_WINDOWS:
        mean, variance = max(mean, float(found.mean())), max(variance, float(found.var(ddof=1)))
    return Null(mean=mean, variance=variance)


def resampled(tally: Tally, n_window: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the scaled divergences of windows drawn cluster by cluster, shape (resamples,)."""
    n = max(1, min(n_window, tally.n_clusters, _MOST_RESAMPLED))
    drawn = np.stack(
        [tally.counts[rng.integers(tally.n_clusters, size=n)].sum(axis=0) for _ in range(_RESAMPLES)]
    ).astype(np.float64)
    drawn = drawn[drawn.sum(axis=1) > 0.0]
    return n * jensen_shannon_rows(tally.total / tally.total.sum(), drawn / drawn.sum(axis=1, keepdims=True))


def left_out(tally: Tally) -> NDArray[np.float64]:
    """Return the scaled divergence of each window from all others, shape (windows with clusters enough,)."""
    found = []
    total = tally.total
    for window in np.unique(tally.windows):
        own = tally.of_window(int(window))
        others = tally.n_clusters - own.n_clusters
        rest = total - own.total
        if own.n_clusters >= _FEWEST_PER_WINDOW and others > 0 and own.total.sum() > 0 and rest.sum() > 0:
            found.append(effective(own.n_clusters, others) * jensen_shannon(rest, own.total))
    return np.array(found)
