"""Which rows a table holds already: 16 bytes of memory a row, and no look at the disk per batch."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

_SEEDS = (0x5EED, 0xD1CE)

Hashes = NDArray[np.uint64]


class KeySet:
    """Keys of rows, as hashes of 128 bits: two of a billion rows share one with odds of 1 in 10^20.

    Sorted runs, each at least twice as long as the next: a batch costs a few binary searches a row, and
    keeping order is paid for once per doubling.

    Args:
        columns: together they are the key.

    Source: P. O'Neil et al., "The Log-Structured Merge-Tree", Acta Informatica 1996.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = tuple(columns)
        self._runs: list[tuple[Hashes, Hashes]] = []  # (sorted, the other half of each)

    def __len__(self) -> int:
        return sum(len(first) for first, _ in self._runs)

    def add(self, rows: pl.DataFrame) -> None:
        """Take in the keys of rows; those that are there already do no harm."""
        if rows.height:
            self._runs.append(_sorted(*self._hashes(rows)))
        while len(self._runs) > 1 and len(self._runs[-2][0]) < 2 * len(self._runs[-1][0]):
            newer, older = self._runs.pop(), self._runs.pop()
            both = (np.concatenate(pair) for pair in zip(older, newer, strict=True))
            self._runs.append(_sorted(*both))

    def unknown(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows whose key is not there, and of those that share one the first."""
        first = rows.unique(subset=list(self._columns), keep="first", maintain_order=True)
        if not self._runs or not first.height:
            return first
        wanted, others = self._hashes(first)
        found = np.zeros(first.height, dtype=np.bool_)
        for run, run_others in self._runs:
            at = np.minimum(np.searchsorted(run, wanted), len(run) - 1)
            found |= (run[at] == wanted) & (run_others[at] == others)
        return first.filter(~pl.Series(found))

    def _hashes(self, rows: pl.DataFrame) -> tuple[Hashes, Hashes]:
        key = pl.struct(*self._columns)
        hashed = rows.select(first=key.hash(_SEEDS[0]), other=key.hash(_SEEDS[1]))
        return hashed["first"].to_numpy(), hashed["other"].to_numpy()


def _sorted(first: Hashes, other: Hashes) -> tuple[Hashes, Hashes]:
    order = np.argsort(first, kind="stable")
    return first[order], other[order]
