"""Does a series grow? A slope with an interval that allows for neighbours being alike."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from recsys.core.errors import InputError

_FEWEST = 8  # blocks


@dataclass(frozen=True, slots=True)
class Trend:
    """Change per second, with a confidence interval."""

    slope: float
    low: float
    high: float


def trend(
    at_s: NDArray[np.float64], values: NDArray[np.float64], *, n_blocks: int = 24, confidence: float = 0.99
) -> Trend:
    """Fit a line through the means of equally long stretches of time.

    Samples a second apart are nearly the same sample. Means over longer stretches are less so, and what
    likeness is left between neighbours (the residuals' correlation at lag one) counts as fewer observations.

    Args:
        at_s: shape (samples,), rising.
        values: shape (samples,).
        n_blocks: stretches of time.
        confidence: of the interval, both ends together.

    Raises:
        InputError: there are samples in fewer than eight stretches.
    """
    edges = np.linspace(at_s[0], at_s[-1], n_blocks + 1) if at_s.size else np.zeros(2)
    block = np.clip(np.searchsorted(edges, at_s, side="right") - 1, 0, n_blocks - 1)
    counts = np.bincount(block, minlength=n_blocks)
    filled = counts > 0
    n = int(filled.sum())
    if n < _FEWEST:
        raise InputError(f"a trend wants samples in {_FEWEST} stretches of time or more, not {n}")
    x = np.bincount(block, at_s, n_blocks)[filled] / counts[filled]
    y = np.bincount(block, values, n_blocks)[filled] / counts[filled]
    centred = x - x.mean()
    slope = float(centred @ (y - y.mean()) / (centred @ centred))
    rest = y - y.mean() - slope * centred
    spread = float(rest @ rest)
    alike = float(np.clip(rest[:-1] @ rest[1:] / spread, 0.0, 0.9)) if spread > 0 else 0.0
    effective = max(n * (1 - alike) / (1 + alike), 3.0)
    error = np.sqrt(spread / (effective - 2) / (centred @ centred) * n / effective)
    reach = float(student.ppf(0.5 + confidence / 2, effective - 2) * error)
    return Trend(slope, slope - reach, slope + reach)
