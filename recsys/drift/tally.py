"""Counts per bin that remember whose they are: users are what is independent, not events."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.drift.bins import Bins


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of each cluster, which is one user within one window."""

    counts: NDArray[np.float32]  # shape (clusters, bins)
    windows: NDArray[np.int64]  # shape (clusters,), the window's number

    @classmethod
    def of(cls, values: pl.DataFrame, bins: Bins) -> Self:
        """Count values with ``user_id``, ``window`` and ``value``."""
        placed = values.select("user_id", "window", bins.place(values["value"]).alias("bin"))
        clusters = placed.select("user_id", "window").unique(maintain_order=True).with_row_index("cluster")
        counted = (
            placed.join(clusters, on=["user_id", "window"], how="left", maintain_order="left")
            .group_by("cluster", "bin")
            .len("n")
        )
        counts = np.zeros((clusters.height, bins.n), dtype=np.float32)
        counts[counted["cluster"].to_numpy(), counted["bin"].to_numpy()] = counted["n"].to_numpy()
        return cls(counts, clusters["window"].to_numpy().astype(np.int64))

    @property
    def n_clusters(self) -> int:
        """How many pairs of a user and a window there are."""
        return len(self.windows)

    @property
    def total(self) -> NDArray[np.float64]:
        """Counts of all together, shape (bins,)."""
        return np.asarray(self.counts.sum(axis=0, dtype=np.float64))

    def of_window(self, window: int) -> "Tally":
        """Return what belongs to one window."""
        inside = self.windows == window
        return Tally(self.counts[inside], self.windows[inside])
