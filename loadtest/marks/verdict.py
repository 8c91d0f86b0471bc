"""Holds marks against what a run found."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loadtest.marks.grammar import Mark
from loadtest.measure.tally import Cell


@dataclass(frozen=True, slots=True)
class Found:
    """What marks are held against."""

    total: Cell
    by_call: Mapping[str, Cell]
    elapsed_s: float
    scheduled_per_s: float
    """The rate asked for; 0 in a closed loop, where shares of it never hold."""
    cut: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one mark."""

    mark: Mark
    value: float
    """In the unit of the mark's limit; NaN when there is nothing to judge, which never holds."""

    @property
    def holds(self) -> bool:
        """Whether the mark holds."""
        return self.mark.holds(self.value)


def judge(marks: Sequence[Mark], found: Found) -> tuple[Verdict, ...]:
    """Return a verdict per mark."""
    return tuple(Verdict(mark, _value(mark, found)) for mark in marks)


def _value(mark: Mark, found: Found) -> float:
    cell = found.by_call.get(mark.call, Cell()) if mark.call else found.total
    if mark.is_latency:
        if mark.metric == "mean":
            return cell.latency.mean_s()
        return cell.latency.percentile_s(mark.percentile)
    if mark.metric in ("rate", "goodput"):
        n = cell.n_good if mark.metric == "goodput" else cell.n
        per_s = n / found.elapsed_s if found.elapsed_s else math.nan
        if mark.is_share:
            return per_s / found.scheduled_per_s if found.scheduled_per_s else math.nan
        return per_s
    counts = {
        "errors": cell.n_failed,
        "shed": cell.n_shed,
        "degraded": cell.n_degraded,
        "cached": cell.n_cached,
        "cut": found.cut,
    }
    if not mark.is_share:
        return float(counts[mark.metric]) if cell.n else math.nan
    return counts[mark.metric] / cell.n if cell.n else math.nan
