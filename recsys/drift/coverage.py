"""How many different items: a figure that does not depend on how much was looked at."""

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from scipy.special import gammaln
from scipy.stats import t as student

from recsys.core.settings import FrozenModel

MOST_DRAWS = 1_000


def rarefied(counts: NDArray[np.int64], n_draws: int) -> float:
    """Return how many different items one expects among ``n_draws`` drawn without putting back.

    Args:
        counts: shape (items,), how often each occurred; together at least ``n_draws``.
        n_draws: how many occurrences are drawn.

    Source: Hurlbert, "The Nonconcept of Species Diversity", Ecology 1971.

    >>> round(rarefied(np.array([1, 1, 1, 1]), 2), 6), round(rarefied(np.array([4]), 2), 6)
    (2.0, 1.0)
    """
    n = int(counts.sum())
    others = n - counts.astype(np.float64)
    possible = others >= n_draws
    log_missed = _log_choose(others[possible], n_draws) - _log_choose(np.array([float(n)]), n_draws)
    return float(len(counts) - np.exp(log_missed).sum())


class CoverageProfile(FrozenModel):
    """Different items among so many, over windows of the reference."""

    n_draws: PositiveInt
    mean: PositiveFloat
    deviation: NonNegativeFloat
    """Standard deviation among the windows."""
    n_windows: NonNegativeInt

    def half_width(self, level: float) -> float:
        """Return how far a further window is from the mean with the chance ``level``, without drift.

        Source: the prediction interval of Student's t.
        """
        if self.n_windows < 2:
            return float("inf")
        spread = self.deviation * np.sqrt(1.0 + 1.0 / self.n_windows)
        return float(student.isf(level / 2.0, self.n_windows - 1) * spread)

    def p_value(self, found: float) -> float:
        """Return the chance that a further window is at least so far from the mean, without drift."""
        away = abs(found - self.mean)
        if self.n_windows < 2 or away == 0.0:
            return 1.0
        if self.deviation == 0.0:
            return 0.0
        spread = self.deviation * np.sqrt(1.0 + 1.0 / self.n_windows)
        return float(2.0 * student.sf(away / spread, self.n_windows - 1))


def fit_coverage(windows: list[NDArray[np.int64]]) -> CoverageProfile | None:
    """Measure coverage in windows, each given by its items' counts; None when too little happened."""
    sizes = [int(counts.sum()) for counts in windows]
    if len(sizes) < 2 or min(sizes) < 2:
        return None
    n_draws = max(1, min(MOST_DRAWS, min(sizes) // 2))
    found = np.array([rarefied(counts, n_draws) for counts in windows])
    return CoverageProfile(
        n_draws=n_draws,
        mean=float(found.mean()),
        deviation=float(found.std(ddof=1)),
        n_windows=len(found),
    )


def _log_choose(n: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1.0) - gammaln(n - k + 1))
