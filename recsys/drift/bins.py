"""Into which bin a value falls: named ones, or stretches between edges."""

from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import FiniteFloat, model_validator

from recsys.core.settings import FrozenModel

OTHER = "(other)"
MOST_NAMES = 40
"""Rarer names share one bin."""
MOST_STRETCHES = 12
_DIGITS = 4


class Bins(FrozenModel):
    """Bins that never change once a profile is made: either names or edges."""

    names: tuple[str, ...] | None = None
    """Of named bins; whatever else comes falls into a last one, :data:`OTHER`."""
    edges: tuple[FiniteFloat, ...] | None = None
    """Rising: bins are up to the first, up to the next, ..., above the last; a bin owns its upper edge."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.names is None) == (self.edges is None):
            raise ValueError("bins have names or edges")
        if self.edges is not None and any(np.diff(self.edges) <= 0):
            raise ValueError("edges rise")
        return self

    @property
    def n(self) -> int:
        """How many bins there are."""
        return len(self.names or self.edges or ()) + 1

    @property
    def in_order(self) -> bool:
        """Whether a later bin holds greater values."""
        return self.edges is not None

    @property
    def labels(self) -> list[str]:
        """What each bin is called."""
        if self.names is not None:
            return [*self.names, OTHER]
        edges = [f"{edge:g}" for edge in self.edges or ()]
        if not edges:
            return ["any"]
        return [f"≤ {edges[0]}", *(f"≤ {edge}" for edge in edges[1:]), f"> {edges[-1]}"]

    def place(self, values: pl.Series) -> pl.Series:
        """Return the bin's number of each value, which is text for names and else a number; never null."""
        if self.names is not None:
            known = dict(zip(self.names, range(len(self.names)), strict=True))
            text = values.cast(pl.String())
            return text.replace_strict(known, default=len(self.names), return_dtype=pl.Int32())
        edges = pl.Series(self.edges or (), dtype=pl.Float64())
        return edges.search_sorted(values.cast(pl.Float64()), side="left").cast(pl.Int32())


def names_of(values: pl.Series) -> Bins:
    """Return bins for the most frequent names.

    >>> names_of(pl.Series(["b", "a", "b"])).labels
    ['b', 'a', '(other)']
    """
    counted = values.cast(pl.String()).rename("value").value_counts(name="n")
    ranked = counted.sort("n", "value", descending=[True, False])["value"]
    return Bins(names=tuple(ranked.head(MOST_NAMES).to_list()))


def stretches_of(values: pl.Series) -> Bins:
    """Return bins between quantiles, fewer where many values are equal.

    >>> stretches_of(pl.Series([0.0, 0.0, 1.0])).edges
    (0.0,)
    """
    numbers = values.cast(pl.Float64()).to_numpy()
    if numbers.size == 0:
        return Bins(edges=())
    levels = np.arange(1, MOST_STRETCHES) / MOST_STRETCHES
    edges = np.unique(_rounded(np.quantile(numbers, levels, method="inverted_cdf")))
    return Bins(edges=tuple(edges[edges < numbers.max()].tolist()))  # none owns what is beyond the greatest


def _rounded(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round to a few digits, upwards: people read them, and a frequent value must stay in its bin."""
    size = np.where(edges == 0.0, 1.0, np.abs(edges))
    unit = 10.0 ** (np.floor(np.log10(size)) - _DIGITS + 1)
    return np.asarray(np.ceil(edges / unit - 1e-9) * unit + 0.0, dtype=np.float64)
