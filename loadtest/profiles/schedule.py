"""Turns rates over time into due times."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import FieldError


class Arrivals(StrEnum):
    """How requests are spread at a given rate."""

    POISSON = "poisson"  # as users come who know nothing of each other
    EVEN = "even"  # one gap after the other, as wrk2, vegeta and k6 do


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of time in which the rate goes straight from one value to another."""

    duration_s: float  # positive
    from_per_s: float  # requests per second at its beginning
    to_per_s: float  # and at its end

    @property
    def n_expected(self) -> float:
        """Requests that fall into it."""
        return self.duration_s * (self.from_per_s + self.to_per_s) / 2


def due_times(
    segments: Sequence[Segment], seed: int, arrivals: Arrivals = Arrivals.POISSON
) -> NDArray[np.float64]:
    """Return when each request is due, in seconds from the start, rising.

    The k-th request is due when the rate, summed up over time, has reached k (even), or the k-th sum of
    exponential draws (Poisson: time is stretched so that a process of rate one gets the rate wanted).

    Args:
        segments: one after the other.
        seed: of the draws.
        arrivals: how requests are spread.

    Raises:
        FieldError: a segment does not last, or a rate is negative.

    >>> due_times([Segment(2.0, 2.0, 2.0)], seed=0, arrivals=Arrivals.EVEN).tolist()
    [0.0, 0.5, 1.0, 1.5]
    """
    for segment in segments:
        if not segment.duration_s > 0 or segment.from_per_s < 0 or segment.to_per_s < 0:
            raise FieldError("segment", str(segment), "a duration above 0 and rates of at least 0")
    ends = np.cumsum([segment.n_expected for segment in segments])
    total = float(ends[-1]) if len(ends) else 0.0
    marks = _poisson_marks(total, seed) if arrivals is Arrivals.POISSON else np.arange(np.ceil(total - 1e-9))
    which = np.searchsorted(ends, marks, side="right").clip(0, len(segments) - 1)
    begins = np.concatenate([[0.0], ends[:-1]])
    durations = np.array([segment.duration_s for segment in segments])
    starts_s = np.concatenate([[0.0], np.cumsum(durations)[:-1]])
    first = np.array([segment.from_per_s for segment in segments])[which]
    slope = np.array([(s.to_per_s - s.from_per_s) / s.duration_s for s in segments])[which]
    within = marks - begins[which]
    # the root of first*t + slope*t**2/2 = within, in the form that loses no digits when the slope is small
    root = np.sqrt(np.maximum(first**2 + 2 * slope * within, 0.0))
    offset_s = np.divide(2 * within, first + root, out=np.zeros_like(within), where=within > 0)
    times = starts_s[which] + np.minimum(offset_s, durations[which])
    return np.asarray(np.maximum.accumulate(times), dtype=np.float64)


def dealt(times_s: NDArray[np.float64], worker: int, n_workers: int) -> NDArray[np.float64]:
    """Return the due times of one worker: every ``n_workers``-th, so that all have the same rates."""
    return times_s[worker::n_workers]


def _poisson_marks(total: float, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    marks = np.cumsum(rng.exponential(size=int(total + 6 * total**0.5 + 16)))
    while len(marks) and marks[-1] < total:  # hardly ever: more than six standard deviations
        marks = np.concatenate([marks, marks[-1] + np.cumsum(rng.exponential(size=len(marks)))])
    return np.asarray(marks[marks < total], dtype=np.float64)
