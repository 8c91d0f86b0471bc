"""How a feature moved, in words."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recsys.drift.bins import Bins

_MOST_NAMED: Final = 3


def how(bins: Bins, reference: NDArray[np.float64], window: NDArray[np.float64]) -> str:
    """Return one line: for numbers which way and from where to where, for names the greatest changes.

    Args:
        bins: what the shares belong to.
        reference: shape (bins,), shares that are 1 together.
        window: shape (bins,), shares that are 1 together.

    >>> how(Bins(names=("home", "feed")), np.array([0.5, 0.5, 0.0]), np.array([0.8, 0.2, 0.0]))
    'home 50.0% → 80.0%, feed 50.0% → 20.0%'
    """
    if bins.in_order:
        before, after = _mean_place(reference), _mean_place(window)
        direction = "up" if after > before else "down"
        return f"{direction}: median {_median(bins, reference)} → {_median(bins, window)}; " + _changes(
            bins.labels, reference, window
        )
    return _changes(bins.labels, reference, window)


def _changes(labels: Sequence[str], reference: NDArray[np.float64], window: NDArray[np.float64]) -> str:
    greatest = np.argsort(-np.abs(window - reference), kind="stable")[:_MOST_NAMED]
    return ", ".join(
        f"{labels[bin_]} {reference[bin_]:.1%} → {window[bin_]:.1%}"
        for bin_ in greatest.tolist()
        if reference[bin_] != window[bin_]
    )


def _mean_place(shares: NDArray[np.float64]) -> float:
    return float((shares * np.arange(len(shares))).sum())


def _median(bins: Bins, shares: NDArray[np.float64]) -> str:
    return bins.labels[int(np.searchsorted(np.cumsum(shares), 0.5 - 1e-12))]
