"""p-values of many comparisons at once, corrected so that the table as a whole keeps its promise."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from recsys.core.errors import FieldError


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Return p-values of which any is below alpha wrongly with a probability of at most alpha.

    For a few comparisons that each decide something, as arms against the control.

    Args:
        p_values: in [0, 1]; nan (not known) stays nan and counts as no comparison.

    Returns:
        shape (len(p_values),), none smaller than it was.

    Raises:
        FieldError: one is not in [0, 1].

    Source: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of
    Statistics 1979.

    >>> [round(float(p), 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    p, known = _known(p_values)
    order = np.argsort(p[known], kind="stable")
    steps = np.maximum.accumulate(p[known][order] * np.arange(order.size, 0, -1))
    corrected = np.empty(order.size)
    corrected[order] = np.minimum(1.0, steps)
    return _filled(p, known, corrected)


def benjamini_hochberg(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Return p-values of which, below alpha, at most a share alpha is expected to be wrong.

    For many comparisons that only point somewhere, as segments.

    Args:
        p_values: in [0, 1]; nan (not known) stays nan and counts as no comparison.

    Raises:
        FieldError: one is not in [0, 1].

    Source: Benjamini and Hochberg, "Controlling the False Discovery Rate", Journal of the Royal Statistical
    Society B 1995.

    >>> [round(float(p), 3) for p in benjamini_hochberg([0.01, 0.04, 0.03])]
    [0.03, 0.04, 0.04]
    """
    p, known = _known(p_values)
    corrected = false_discovery_control(p[known]) if known.any() else p[known]
    return _filled(p, known, np.asarray(corrected, np.float64))


def _known(p_values: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    p = np.asarray(p_values, dtype=np.float64)
    known = ~np.isnan(p)
    if ((p[known] < 0.0) | (p[known] > 1.0)).any():
        raise FieldError("p_values", str(list(p_values)), "each between 0 and 1, or nan")
    return p, known


def _filled(
    p: NDArray[np.float64], known: NDArray[np.bool_], corrected: NDArray[np.float64]
) -> NDArray[np.float64]:
    filled = p.copy()
    filled[known] = corrected
    return filled
