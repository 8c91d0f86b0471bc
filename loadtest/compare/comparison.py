"""What differs between two reports, with intervals and verdicts."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from loadtest.compare.bootstrap import (
    LEAST_BLOCKS,
    Blocks,
    bad_shares,
    blocks_of,
    drawn_weights,
    goodputs,
    means_ms,
    percentiles_ms,
)
from loadtest.reports.document import Report
from recsys.core.errors import InputError
from recsys.core.settings import FrozenModel

_DRAWS = 2_000
Statistic = Callable[[Blocks, NDArray[np.float64]], NDArray[np.float64]]


class Difference(FrozenModel):
    """One figure of both reports."""

    name: str
    """What it is, with its unit."""
    first: float | None
    """Of the first report; null without any answer."""
    second: float | None
    """Of the second."""
    ratio: float | None
    """Second by first; null when the first is 0 or missing."""
    low: float | None
    """Lower end of the interval: of the ratio, or of the difference where ``of_difference``."""
    high: float | None
    """Its upper end."""
    of_difference: bool
    """Whether the interval is of second less first: of shares, for they are often 0."""
    more_than_noise: bool | None
    """Whether the interval leaves out equality; null when the runs are too short to tell."""
    worse: bool
    """Whether the second is on the bad side of the first."""
    regression: bool
    """Whether it is worse by more than allowed, and by more than noise."""


class Comparison(FrozenModel):
    """Two reports."""

    first: str
    """Name of the first."""
    second: str
    """Name of the second."""
    confidence: float
    """Of the intervals."""
    fail_above: float | None
    """How much worse is a regression, as a share; null: nothing is."""
    differences: tuple[Difference, ...]
    """Figure by figure."""
    warnings: tuple[str, ...]
    """What takes away from the comparison."""

    @property
    def regressed(self) -> bool:
        """Whether anything is a regression."""
        return any(difference.regression for difference in self.differences)


def compare(
    first: Report,
    second: Report,
    *,
    names: tuple[str, str] = ("A", "B"),
    fail_above: float | None = None,
    confidence: float = 0.99,
    skip_s: float = 0.0,
    seed: int = 0,
) -> Comparison:
    """Compare two reports.

    Args:
        first: what was before.
        second: what is now.
        names: of both.
        fail_above: how much worse a figure must be to be a regression, as a share; None: nothing is one.
        confidence: of the intervals; each figure's false alarms are as frequent as this leaves over, or
            somewhat more often when there are few blocks.
        skip_s: seconds at the beginning of both that are left out.
        seed: of the draws.

    Raises:
        InputError: a report has no blocks of time left.
    """
    runs = [blocks_of(report.blocks, report.block_s, skip_s=skip_s) for report in (first, second)]
    for name, run in zip(names, runs, strict=True):
        if not run.n:
            raise InputError(f"{name}: no block of time is left after {skip_s:g} s")
    rng = np.random.default_rng(seed)
    weights = [drawn_weights(run.n, _DRAWS, rng) for run in runs]
    table: tuple[
        tuple[str, Statistic, bool, bool], ...
    ] = (  # name, figure, whether higher is worse, is a share
        ("p50 ms", lambda run, w: percentiles_ms(run, w, 50), True, False),
        ("p90 ms", lambda run, w: percentiles_ms(run, w, 90), True, False),
        ("p99 ms", lambda run, w: percentiles_ms(run, w, 99), True, False),
        ("mean ms", means_ms, True, False),
        ("good answers per s", goodputs, False, False),
        ("share of errors and shed", bad_shares, True, True),
    )
    differences = tuple(
        _difference(name, statistic, (runs[0], runs[1]), (weights[0], weights[1]), confidence,
                    fail_above=fail_above, higher_is_worse=higher_is_worse, is_share=is_share)
        for name, statistic, higher_is_worse, is_share in table
    )  # fmt: skip
    return Comparison(
        first=names[0],
        second=names[1],
        confidence=confidence,
        fail_above=fail_above,
        differences=differences,
        warnings=tuple(_warnings(first, second, names, runs)),
    )


def _difference(
    name: str,
    statistic: Statistic,
    runs: tuple[Blocks, Blocks],
    weights: tuple[NDArray[np.float64], NDArray[np.float64]],
    confidence: float,
    *,
    fail_above: float | None,
    higher_is_worse: bool,
    is_share: bool,
) -> Difference:
    first, second = (float(statistic(run, np.ones((1, run.n)))[0]) for run in runs)
    low, high = interval(statistic, runs, weights, confidence, is_share=is_share)
    equal = 0.0 if is_share else 1.0
    noisy = None if math.isnan(low) else not low <= equal <= high
    worse = second > first if higher_is_worse else second < first
    allowed = math.inf if fail_above is None else fail_above
    by = _worse_by(first, second, higher_is_worse=higher_is_worse)
    return Difference(
        name=name,
        first=_known(first),
        second=_known(second),
        ratio=_known(second / first) if first else None,
        low=_known(low),
        high=_known(high),
        of_difference=is_share,
        more_than_noise=noisy,
        worse=worse,
        regression=worse and noisy is True and by > allowed,
    )


def interval(
    statistic: Statistic,
    runs: tuple[Blocks, Blocks],
    weights: tuple[NDArray[np.float64], NDArray[np.float64]],
    confidence: float,
    *,
    is_share: bool,
) -> tuple[float, float]:
    """Return between which values second by first lies (of shares: second less first).

    Args:
        statistic: of a run, per draw.
        runs: by blocks of time.
        weights: of the draws of each, shape (draws, blocks).
        confidence: of the interval, in (0, 1).
        is_share: whether the difference is looked at rather than the ratio.

    Returns:
        Both ends; NaN when a run is too short.
    """
    draws = [statistic(run, drawn) for run, drawn in zip(runs, weights, strict=True)]
    with np.errstate(divide="ignore", invalid="ignore"):
        varied = draws[1] - draws[0] if is_share else draws[1] / draws[0]
    known = varied[np.isfinite(varied)]
    if min(run.n for run in runs) < LEAST_BLOCKS or not len(known):
        return math.nan, math.nan
    tail = 100 * (1 - confidence) / 2
    low, high = np.percentile(known, [tail, 100 - tail])
    return float(low), float(high)


def _worse_by(first: float, second: float, *, higher_is_worse: bool) -> float:
    """Return by which share the second is worse; infinite when the first is 0."""
    if not first:
        return math.inf if second else 0.0
    return second / first - 1 if higher_is_worse else 1 - second / first


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _warnings(first: Report, second: Report, names: tuple[str, str], runs: list[Blocks]) -> list[str]:
    found = [
        f"{name} is not valid: the load tester was too slow."
        for name, report in zip(names, (first, second), strict=True)
        if not report.valid
    ]
    if min(run.n for run in runs) < LEAST_BLOCKS:
        found.append(f"Too short to tell differences from noise: {LEAST_BLOCKS} blocks of time are needed.")
    before, now = first.plan.model_dump(mode="json"), second.plan.model_dump(mode="json")
    changed = [name for name in before if before[name] != now[name] and name not in ("seed", "marks")]
    if changed:
        found.append(f"The plans differ in {', '.join(changed)}.")
    if first.environment.machine != second.environment.machine:
        found.append(f"Other machines: {first.environment.machine}; {second.environment.machine}.")
    return found
