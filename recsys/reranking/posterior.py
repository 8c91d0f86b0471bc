"""What is known of how often an item is chosen, and which of several may well be chosen most often.

An item met N times in T days has a rate with the posterior Gamma(a + N, b + T) when interactions come as a
Poisson process; the prior Gamma(a, b) has the mean of all items. A new item has a wide posterior.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc

from recsys.core.clock import SECONDS_PER_DAY
from recsys.data.log import InteractionLog
from recsys.registry.bundle import BundleReader, BundleWriter

_FOLDER = "interest"
_SHORTEST_DAYS = 1.0  # an item of this morning has not been met for a thousandth of a day
_N_STEPS = 128  # of the integral
_TAIL_STEPS = 16.0  # rates are looked at from the largest posterior mean / 2^16 to as far above it as needed


@dataclass(frozen=True)
class ItemInterest:
    """How often each item was met, and for how long it could have been."""

    n_interactions: NDArray[np.float32]  # shape (items,)
    days: NDArray[np.float32]  # shape (items,), from the first interaction to the last of the log; 0 = never

    @cached_property
    def mean_rate(self) -> float:
        """Interactions per item and day, over all items; positive."""
        n_interactions, days = float(self.n_interactions.sum()), float(self.days.sum())
        return n_interactions / days if n_interactions > 0.0 and days > 0.0 else 1.0

    def posterior(
        self, item_rows: NDArray[np.int32], prior_interactions: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return shape and rate of the Gamma posteriors of some items.

        Args:
            item_rows: shape (choices,), none negative.
            prior_interactions: how many interactions the belief that an item is like the mean is worth.
        """
        shapes = prior_interactions + self.n_interactions[item_rows].astype(np.float64)
        days = prior_interactions / self.mean_rate + self.days[item_rows].astype(np.float64)
        return shapes, days

    def save(self, writer: BundleWriter) -> None:
        """Write the arrays under ``interest/``."""
        writer.array(f"{_FOLDER}/n_interactions", self.n_interactions)
        writer.array(f"{_FOLDER}/days", self.days)

    @classmethod
    def load(cls, reader: BundleReader) -> Self:
        """Read the arrays back, memory-mapped."""
        return cls(reader.array(f"{_FOLDER}/n_interactions"), reader.array(f"{_FOLDER}/days"))


def fit_interest(log: InteractionLog) -> ItemInterest:
    """Count the interactions and days of every item; the last interaction of the log is now."""
    counts = np.bincount(log.item_rows, minlength=log.n_items)
    first_s = np.full(log.n_items, np.inf)
    np.minimum.at(first_s, log.item_rows, log.times_s)
    now_s = float(log.times_s.max(initial=0.0))
    days = np.maximum(_SHORTEST_DAYS, (now_s - first_s) / SECONDS_PER_DAY)
    return ItemInterest(counts.astype(np.float32), np.where(counts > 0, days, 0.0).astype(np.float32))


def chances_of_largest(shapes: NDArray[np.float64], rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each of several Gamma variables the chance that it is the largest; together 1.

    It is what drawing one value each and taking the largest (Thompson sampling) would choose it with. The
    integral of density times the others' distribution functions is done in steps, so the chances are good to
    a few thousandths; who draws by *them* knows them exactly all the same.

    Args:
        shapes: shape (variables,), positive.
        rates: shape (variables,), positive: mean = shape / rate.

    Source: Thompson, "On the Likelihood that One Unknown Probability Exceeds Another", Biometrika 1933;
    Russo et al., "A Tutorial on Thompson Sampling", 2018.

    >>> chances_of_largest(np.array([1.0, 1.0]), np.array([1.0, 3.0])).round(2).tolist()
    [0.75, 0.25]
    """
    edges = _edges(shapes, rates)
    below = gammainc(shapes[:, None], rates[:, None] * edges)  # (variables, edges)
    in_step = np.diff(below, axis=1)
    logs = np.log(np.maximum(0.5 * (below[:, 1:] + below[:, :-1]), 1e-300))
    others = np.exp(logs.sum(axis=0) - logs)
    chances = np.maximum((in_step * others).sum(axis=1), 1e-12)
    scaled: NDArray[np.float64] = chances / chances.sum()
    return scaled


def _edges(shapes: NDArray[np.float64], rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where the steps of the integral end: evenly by ratio, from nothing to beyond all variables."""
    means = shapes / rates
    top = float((means + 12.0 * np.sqrt(shapes) / rates + 24.0 / rates).max())
    bottom = float(means.max()) * 2.0**-_TAIL_STEPS
    return np.concatenate([[0.0], np.geomspace(min(bottom, 0.5 * top), top, _N_STEPS)])
