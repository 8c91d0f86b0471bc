"""How popular each item was at any past moment: point-in-time, so that training never sees the future.

Counts are kept at a limited number of moments ("snapshots"). A question at time t looks at the last snapshot
not after t; every snapshot counts only what happened before it.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt

from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.settings import FrozenModel
from recsys.data.log import InteractionLog
from recsys.registry.bundle import BundleReader, BundleWriter

_FOLDER = "popularity"


class PopularityConfig(FrozenModel):
    """How popularity is counted."""

    half_lives_days: tuple[PositiveFloat, PositiveFloat, PositiveFloat, PositiveFloat] = (
        2.0,
        14.0,
        90.0,
        100_000.0,
    )
    """An event this old counts half; one table each, from hot to all-time."""

    n_snapshots: PositiveInt = 48
    """Moments at which counts are kept, spread evenly over the events."""

    max_table_mb: PositiveFloat = 128.0
    """Fewer snapshots are kept when their tables would be larger than this."""


@dataclass(frozen=True, slots=True)
class PopularityTable:
    """Popularity of every item at every snapshot."""

    moments_s: NDArray[
        np.float64
    ]  # shape (snapshots,), rising, Unix time; the first is -inf: nothing known yet
    levels: NDArray[np.float32]  # shape (snapshots, half-lives, items): log(1 + count / mean count)

    def snapshot_rows(self, now_s: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the snapshot that each moment may look at, shape (moments,)."""
        return np.searchsorted(self.moments_s, now_s, side="right") - 1

    def save(self, writer: BundleWriter) -> None:
        """Write the arrays under ``popularity/``."""
        writer.array(f"{_FOLDER}/moments_s", self.moments_s)
        writer.array(f"{_FOLDER}/levels", self.levels)

    @classmethod
    def load(cls, reader: BundleReader) -> Self:
        """Read the arrays back, memory-mapped."""
        return cls(reader.array(f"{_FOLDER}/moments_s"), reader.array(f"{_FOLDER}/levels"))


def fit_popularity(log: InteractionLog, config: PopularityConfig) -> PopularityTable:
    """Count events per item at moments spread evenly over the events."""
    order = np.argsort(log.times_s, kind="stable")
    times, items = log.times_s[order], log.item_rows[order]
    table_mb = len(config.half_lives_days) * log.n_items * 4 / 2**20
    n_moments = max(1, min(config.n_snapshots, int(config.max_table_mb / table_mb)))
    moments = _moments(times, n_moments)
    edges = np.searchsorted(times, moments, side="left")  # strictly before the moment
    half_lives_s = np.array(config.half_lives_days) * SECONDS_PER_DAY
    counts = np.zeros((len(half_lives_s), log.n_items))
    levels = np.zeros((len(moments), len(half_lives_s), log.n_items), dtype=np.float32)
    previous, start = moments[0], 0
    for row, (moment, stop) in enumerate(zip(moments, edges, strict=True)):
        for column, half_life_s in enumerate(half_lives_s):
            weights = 0.5 ** ((moment - times[start:stop]) / half_life_s)
            counts[column] *= 0.5 ** ((moment - previous) / half_life_s)
            counts[column] += np.bincount(items[start:stop], weights, log.n_items)
        mean = counts.mean(axis=1, keepdims=True)
        levels[row] = np.log1p(counts / np.where(mean > 0, mean, 1.0))
        previous, start = moment, stop
    nothing = np.zeros((1, len(half_lives_s), log.n_items), dtype=np.float32)
    return PopularityTable(np.concatenate([[-np.inf], moments]), np.concatenate([nothing, levels]))


def _moments(times_s: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    if times_s.size == 0:
        return np.zeros(1)
    inner = np.quantile(times_s, np.arange(1, n) / n)
    end = np.nextafter(times_s[-1], np.inf)  # counts everything
    return np.unique(np.append(inner, end))
