"""Draws users and items: in blocks, for one draw at a time would cost more than a request."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from loadtest.traffic.settings import Users

_BLOCK = 4_096
_NEVER_SEEN = -1


def zipf_sums(n: int, exponent: float) -> NDArray[np.float64]:
    """Return the chances of ranks 1 to ``n``, in proportion to rank ** -exponent, summed up; shape (n,)."""
    sums = np.cumsum(np.arange(1, n + 1, dtype=np.float64) ** -exponent)
    return np.asarray(sums / sums[-1])


def drawn_users(users: Users, rng: np.random.Generator) -> Iterator[int]:
    """Yield numbers of users forever; -1 stands for somebody who was never seen."""
    sums = zipf_sums(users.n_users, users.zipf_exponent)
    while True:
        ranks = np.searchsorted(sums, rng.random(_BLOCK), side="right").clip(0, users.n_users - 1)
        yield from np.where(rng.random(_BLOCK) < users.cold_share, _NEVER_SEEN, ranks).tolist()


def drawn_below(n: int, rng: np.random.Generator) -> Iterator[int]:
    """Yield numbers from 0 to ``n`` - 1 forever, all alike."""
    while True:
        yield from rng.integers(0, n, _BLOCK).tolist()


def drawn_by_weight(weights: NDArray[np.float64], rng: np.random.Generator) -> Iterator[int]:
    """Yield positions forever, each as often as its weight says."""
    while True:
        yield from rng.choice(len(weights), _BLOCK, p=weights / weights.sum()).tolist()


def drawn_uniform(rng: np.random.Generator) -> Iterator[float]:
    """Yield numbers from [0, 1) forever."""
    while True:
        yield from rng.random(_BLOCK).tolist()


class Names:
    """Gives users their ids; those never seen get one that no run has used before."""

    def __init__(self, prefix: str, run_id: str) -> None:
        self._prefix = prefix
        self._cold = f"cold-{run_id}-"
        self._n_cold = 0

    def of(self, number: int) -> tuple[str, str]:
        """Return the id of a drawn user, and what kind of user that is."""
        if number != _NEVER_SEEN:
            return f"{self._prefix}{number}", "known"
        self._n_cold += 1
        return f"{self._cold}{self._n_cold}", "cold"
