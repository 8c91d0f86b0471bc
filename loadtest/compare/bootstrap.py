"""Draws runs that might as well have been: blocks of time, put together anew.

Requests of one second are not independent of each other, and neighbouring seconds are alike; so whole
stretches of seconds are drawn, as long as the cube root of their number.

Source: Künsch, "The Jackknife and the Bootstrap for General Stationary Observations", Annals of Statistics
1989; circular form: Politis and Romano 1992.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadtest.reports.document import BlockDoc

LEAST_BLOCKS = 8
"""Fewer blocks of time than these say nothing about noise."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """A run by blocks of time, ready for arithmetic."""

    values_ms: NDArray[np.float64]  # shape (buckets,): of the latency, rising
    counts: NDArray[np.float64]  # shape (blocks, buckets)
    good: NDArray[np.float64]  # shape (blocks,): good answers
    bad: NDArray[np.float64]  # shape (blocks,): failed and shed ones
    block_s: float

    @property
    def n(self) -> int:
        """How many blocks."""
        return len(self.good)


def blocks_of(docs: Sequence[BlockDoc], block_s: float, *, skip_s: float = 0.0) -> Blocks:
    """Return the blocks of a report, without those that begin before ``skip_s``."""
    kept = [doc for doc in docs if doc.start_s >= skip_s]
    histograms = [doc.found.latency.histogram().counts for doc in kept]
    buckets = sorted({bucket for counts in histograms for bucket in counts})
    place = {bucket: n for n, bucket in enumerate(buckets)}
    counts = np.zeros((len(kept), len(buckets)))
    for row, histogram in enumerate(histograms):
        for bucket, n in histogram.items():
            counts[row, place[bucket]] = n
    return Blocks(
        np.array(buckets, dtype=np.float64) / 1e3,
        counts,
        np.array([doc.found.good for doc in kept], dtype=np.float64),
        np.array([doc.found.failed + doc.found.shed for doc in kept], dtype=np.float64),
        block_s,
    )


def drawn_weights(n_blocks: int, n_draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return how often each block is in each draw, shape (draws, blocks); rows sum up to ``n_blocks``."""
    stretch = max(1, round(n_blocks ** (1 / 3)))
    n_stretches = -(-n_blocks // stretch)
    begins = rng.integers(0, n_blocks, (n_draws, n_stretches))
    drawn = (begins[:, :, None] + np.arange(stretch)) % n_blocks  # circular: all blocks are drawn alike
    drawn = drawn.reshape(n_draws, -1)[:, :n_blocks]
    weights = np.zeros((n_draws, n_blocks))
    np.add.at(weights, (np.arange(n_draws)[:, None], drawn), 1.0)
    return weights


def percentiles_ms(blocks: Blocks, weights: NDArray[np.float64], percentile: float) -> NDArray[np.float64]:
    """Return a percentile of the latency per draw, shape (draws,); NaN where a draw has no latencies."""
    if not blocks.values_ms.size:
        return np.full(len(weights), np.nan)
    sums = np.cumsum(weights @ blocks.counts, axis=1)
    ranks = np.maximum(np.ceil(percentile / 100 * sums[:, -1] - 1e-9), 1)
    rows = np.minimum((sums < ranks[:, None]).sum(axis=1), blocks.values_ms.size - 1)
    return np.where(sums[:, -1] > 0, blocks.values_ms[rows], np.nan)


def means_ms(blocks: Blocks, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean latency per draw, shape (draws,)."""
    counts = weights @ blocks.counts
    total = counts.sum(axis=1)
    means = np.full(len(weights), np.nan)
    np.divide(counts @ blocks.values_ms, total, out=means, where=total > 0)
    return means


def goodputs(blocks: Blocks, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return good answers per second per draw, shape (draws,)."""
    return np.asarray(weights @ blocks.good / (blocks.n * blocks.block_s))


def bad_shares(blocks: Blocks, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of failed and shed requests per draw, shape (draws,)."""
    bad, good = weights @ blocks.bad, weights @ blocks.good
    shares = np.zeros(len(weights))
    np.divide(bad, bad + good, out=shares, where=bad + good > 0)
    return shares
