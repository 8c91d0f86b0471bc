"""How unlike two histograms over the same bins are."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2_contingency

from recsys.core.errors import InputError, ShapeError

SMOOTHING = 0.5
"""Added to every bin's count for PSI alone, which is infinite where one side has an empty bin."""

Counts = NDArray[np.float64]


def psi(reference: Counts, window: Counts) -> float:
    """Return the population stability index: 0 is equal, above 0.1 is commonly called a shift.

    Args:
        reference: shape (bins,), counts; their sum is above 0.
        window: shape (bins,), counts; their sum is above 0.

    Source: Siddiqi, "Credit Risk Scorecards", 2006; it is the symmetrised Kullback-Leibler divergence
    (Jeffreys, 1946), in nats.

    >>> round(psi(np.array([50.0, 50.0]), np.array([80.0, 20.0])), 2)
    0.41
    """
    p, q = _shares(reference, window, SMOOTHING)
    return float(((q - p) * np.log(q / p)).sum())


def jensen_shannon(reference: Counts, window: Counts) -> float:
    """Return the Jensen-Shannon divergence in bits: 0.0 for equal shares, 1.0 where no bin is shared.

    Args:
        reference: shape (bins,), counts; their sum is above 0.
        window: shape (bins,), counts; their sum is above 0.

    Source: Lin, "Divergence Measures Based on the Shannon Entropy", IEEE Transactions on Information
    Theory, 1991.

    >>> jensen_shannon(np.array([3.0, 1.0]), np.array([6.0, 2.0])), jensen_shannon(np.eye(2)[0], np.eye(2)[1])
    (0.0, 1.0)
    """
    p, q = _shares(reference, window)
    return float(jensen_shannon_rows(p, q[None, :])[0])


def jensen_shannon_rows(reference: Counts, windows: Counts) -> NDArray[np.float64]:
    """Return :func:`jensen_shannon` of shares for many windows at once, shape (windows,).

    Args:
        reference: shape (bins,), shares that are 1 together.
        windows: shape (windows, bins), shares that are 1 together in every row.
    """
    middle = (reference + windows) / 2.0
    bits = _entropy(middle) - (_entropy(reference) + _entropy(windows)) / 2.0
    return np.clip(bits, 0.0, 1.0)  # rounding leaves the range by 1e-16


def kolmogorov_smirnov(reference: Counts, window: Counts) -> float:
    """Return the largest distance between the cumulated shares, in [0, 1]; bins must be in order.

    It is scipy's ``ks_2samp`` of values that are their bins' numbers.

    Source: Smirnov, "Table for Estimating the Goodness of Fit of Empirical Distributions", 1948.

    >>> kolmogorov_smirnov(np.array([1.0, 1.0]), np.array([3.0, 1.0]))
    0.25
    """
    p, q = _shares(reference, window)
    return float(np.abs(np.cumsum(p) - np.cumsum(q)).max())


def chi_square_p_value(reference: Counts, window: Counts) -> float:
    """Return Pearson's p-value that both come from the same shares; right only where counts are independent.

    So for one value per user and window, never for events: those of one user resemble each other.

    Source: Pearson, "On the Criterion that a Given System of Deviations...", 1900.
    """
    _shares(reference, window)
    table = np.stack([reference, window])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2:
        return 1.0
    return float(chi2_contingency(table, correction=False).pvalue)


def _shares(reference: Counts, window: Counts, smoothing: float = 0.0) -> tuple[Counts, Counts]:
    if reference.shape != window.shape:
        raise ShapeError("window", reference.shape, window.shape)
    if min(reference.sum(), window.sum()) <= 0.0:
        raise InputError("a histogram without any count is unlike nothing and like nothing")
    p, q = reference + smoothing, window + smoothing
    return p / p.sum(), q / q.sum()


def _entropy(shares: Counts) -> NDArray[np.float64]:
    logs = np.log2(shares, out=np.zeros_like(shares), where=shares > 0.0)
    return np.asarray(-(shares * logs).sum(axis=-1))
