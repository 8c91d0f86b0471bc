"""Sample-ratio mismatch: users were not dealt as the shares say, so nothing else can be trusted."""

from collections.abc import Sequence
from math import exp

import numpy as np
from scipy.special import gammaln

_CONCENTRATION = 100.0  # of the prior about the shares: other shares are thought to be 5 to 10 points away


def sequential_p_value(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Return a p-value that may be looked at as often as one likes.

    Args:
        counts: users found in each arm.
        shares: what each arm was dealt, above 0, together 1.

    Returns:
        In (0, 1]; if the shares are right, it is ever below alpha with a probability of at most alpha.

    Source: Lindon and Malek, "Anytime-Valid Inference for Multinomial Count Data", NeurIPS 2022.
    """
    found, dealt = np.asarray(counts, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    prior = _CONCENTRATION * dealt
    log_odds = (
        gammaln(prior.sum())
        - gammaln(prior.sum() + found.sum())
        + (gammaln(prior + found) - gammaln(prior)).sum()
        - (found * np.log(dealt)).sum()
    )
    return min(1.0, exp(-min(700.0, float(log_odds))))
