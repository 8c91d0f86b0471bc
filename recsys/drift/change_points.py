"""When the engagement of a stream of users changed: ADWIN and Page-Hinkley, by river.

They look at users one after another, not at windows, and so say when a change began. What they say is in the
report and raises no alarm by itself. Needs the extra ``drift``.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt
from river.drift import ADWIN, PageHinkley

from recsys.core.settings import FrozenModel
from recsys.drift.found import Change

ADWIN_NAME, PAGE_HINKLEY_NAME = "ADWIN", "Page-Hinkley"


class ChangeConfig(FrozenModel):
    """How rarely a stream without a change is said to have one."""

    false_alarms: float = Field(default=0.02, gt=0.0, lt=1.0)
    """Chance, per stream and detector, over ``n_users``."""

    n_users: PositiveInt = 2_000
    """Users whom the chance is stated for."""

    n_runs: PositiveInt = 100
    """Streams without a change, drawn to find the thresholds."""


class Detector(Protocol):
    """What river's detectors have in common."""

    @property
    def drift_detected(self) -> bool:
        """Whether the last value showed a change."""
        ...

    def update(self, x: float) -> None:
        """Take a value in."""
        ...


class Calibrated(FrozenModel):
    """Settings under which streams like the reference show a change as rarely as asked for."""

    adwin_delta: float
    page_hinkley_threshold: float
    page_hinkley_delta: float

    def detectors(self) -> dict[str, Detector]:
        """Return both detectors, anew."""
        page_hinkley = PageHinkley(
            delta=self.page_hinkley_delta, threshold=self.page_hinkley_threshold, alpha=1.0
        )
        return {ADWIN_NAME: ADWIN(delta=self.adwin_delta), PAGE_HINKLEY_NAME: page_hinkley}


def calibrate(quantiles: Sequence[float], config: ChangeConfig, *, seed: int) -> Calibrated:
    """Find the settings by streams drawn from the reference: the loosest that are rare enough.

    Args:
        quantiles: of the reference's values at even steps from 0 to 1, as a profile has them.
        config: the rate.
        seed: of the streams.

    Source: Page, "Continuous Inspection Schemes", Biometrika 1954; Bifet and Gavalda, "Learning from
    Time-Changing Data with Adaptive Windowing", SDM 2007 (its delta is a rate per check, not per stream).
    """
    rng = np.random.default_rng(seed)
    levels = np.linspace(0.0, 1.0, len(quantiles))
    runs = np.interp(rng.random((config.n_runs, config.n_users)), levels, quantiles)
    slack = float(runs.std()) / 4.0  # half of the smallest change that is looked for: half a deviation
    allowed = int(config.false_alarms * config.n_runs)
    greatest = np.sort([page_hinkley_peak(run, slack) for run in runs])
    threshold = float(greatest[-1 - allowed]) * 1.01
    delta = next(
        delta
        for delta in _deltas()
        if delta < 1e-12 or sum(_first_change(ADWIN(delta=delta), run) is not None for run in runs) <= allowed
    )
    return Calibrated(adwin_delta=delta, page_hinkley_threshold=threshold, page_hinkley_delta=slack)


def changes(values: NDArray[np.float64], times_s: NDArray[np.float64], known: Calibrated) -> list[Change]:
    """Return the first change that each detector finds in a stream.

    Args:
        values: shape (users,), means per user and window, in order of time.
        times_s: shape (users,), when each was there.
        known: what :func:`calibrate` returned.
    """
    found = []
    for name, detector in known.detectors().items():
        at = _first_change(detector, values)
        if at is not None:
            before, after = values[:at], values[at:]
            found.append(
                Change(
                    detector=name,
                    at_s=float(times_s[at]),
                    before=float(before.mean()) if at else float("nan"),
                    after=float(after.mean()),
                )
            )
    return found


def page_hinkley_peak(values: NDArray[np.float64], delta: float) -> float:
    """Return the greatest statistic of a two-sided Page-Hinkley test that forgets nothing.

    The same as the least threshold at which river's ``PageHinkley(delta=delta, alpha=1.0)`` finds nothing.
    """
    means = np.cumsum(values) / np.arange(1, len(values) + 1)
    up, down = np.cumsum(values - means - delta), np.cumsum(values - means + delta)
    rises = up - np.minimum.accumulate(up)
    falls = np.maximum.accumulate(np.maximum(down, -1.0)) - down
    counted = np.arange(1, len(values) + 1) >= PageHinkley().min_instances
    return float(np.maximum(rises, falls)[counted].max(initial=0.0))


def _first_change(detector: Detector, values: NDArray[np.float64]) -> int | None:
    for at, value in enumerate(values.tolist()):
        detector.update(value)
        if detector.drift_detected:
            return at
    return None


def _deltas() -> Iterator[float]:
    delta = 0.05
    while True:
        yield delta
        delta /= 10.0
