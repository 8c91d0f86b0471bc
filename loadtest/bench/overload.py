"""What a service does when it is asked for more than it can: levels of an open loop, and a spike."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from loadtest.engine.result import Result
from loadtest.engine.run import drive_closed, drive_open
from loadtest.measure.facts import facts_of
from loadtest.measure.tally import SHED
from loadtest.profiles.schedule import Arrivals, Segment, due_times
from loadtest.transports.exchange import Exchange, Request
from loadtest.transports.target import Limits
from recsys.core.clock import Clock

IN_TIME_S = 1.0
"""An answer that comes later is no use to anybody."""

CONNECTIONS = 64
"""Of the closed loop that finds the capacity."""

_LIMITS = Limits(connections=4_000)
_BLOCK_S = 0.5
_FINE = 0.95  # share of a block's requests that are answered in full and in time


class Fate(StrEnum):
    """What became of a request."""

    GOOD = "good"  # 200 in full and in time
    POPULAR = "popular"  # 200 in time, and says that something is missing
    LATE = "late"  # 200, too late
    SHED = "shed"  # 429 or 503 that says when to come back
    FAILED = "failed"  # anything else


@dataclass
class Course:
    """What became of every request of an open loop, in the order in which they ended."""

    due_at_s: list[float] = field(default_factory=list)  # on the clock of the loop
    latency_s: list[float] = field(default_factory=list)  # from due to answered
    fates: list[Fate] = field(default_factory=list)

    def note(self, exchange: Exchange) -> None:
        """Take down an exchange that has ended."""
        latency_s = exchange.finished_s - exchange.due_s
        self.due_at_s.append(exchange.due_s)
        self.latency_s.append(latency_s)
        self.fates.append(fate_of(exchange, latency_s))

    @property
    def due_s(self) -> NDArray[np.float64]:
        """Shape (requests,): when each was due, in seconds after the first."""
        due_at_s = np.asarray(self.due_at_s)
        return due_at_s - due_at_s.min(initial=np.inf) if len(due_at_s) else due_at_s

    def n(self, fate: Fate) -> int:
        """Return how many had a fate."""
        return self.fates.count(fate)

    def percentile_ms(self, percentile: float) -> float:
        """Return a percentile of the latency of good answers; NaN without any."""
        good = [s for s, fate in zip(self.latency_s, self.fates, strict=True) if fate is Fate.GOOD]
        return 1e3 * float(np.percentile(good, percentile)) if good else float("nan")

    def per_s(self, fate: Fate, block_s: float = _BLOCK_S) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the beginnings of blocks of time, and requests per second due in each that had a fate."""
        due_s = self.due_s
        edges = np.arange(0.0, (due_s.max() if len(due_s) else 0.0) + block_s, block_s)
        has = np.array([found is fate for found in self.fates], dtype=bool)
        return edges[:-1], np.histogram(due_s[has], edges)[0] / block_s


def fate_of(exchange: Exchange, latency_s: float) -> Fate:
    """Return what became of an exchange."""
    if exchange.failure is None and exchange.status in SHED and exchange.retry_after:
        return Fate.SHED
    if exchange.failure is not None or exchange.status != 200:
        return Fate.FAILED
    if latency_s > IN_TIME_S:
        return Fate.LATE
    return Fate.POPULAR if facts_of(exchange.body).degraded else Fate.GOOD


@dataclass(frozen=True, slots=True)
class Level:
    """One rate for a while."""

    load: float  # times the capacity
    duration_s: float
    course: Course
    client_cores: float  # that this tool took from the machine meanwhile
    server_cores: float  # that the service took
    late_ms: float  # 99th percentile of how late this tool sent

    def rate(self, fate: Fate) -> float:
        """Return requests per second that had a fate."""
        return self.course.n(fate) / self.duration_s

    @property
    def offered_per_s(self) -> float:
        """Requests per second."""
        return len(self.course.fates) / self.duration_s


@dataclass(frozen=True, slots=True)
class Spike:
    """An overload with an end."""

    begins_s: float
    ends_s: float
    course: Course

    @property
    def recovery_s(self) -> float:
        """From the end of the overload until nearly all are answered in full and in time, and remain so."""
        return recovery_s(self.course, self.ends_s)


def recovery_s(course: Course, ends_s: float) -> float:
    """Return how long after ``ends_s`` the last bad block of time was over; 0.0 when there was none."""
    due_s = course.due_s
    good = np.array([fate is Fate.GOOD for fate in course.fates], dtype=bool)
    recovered_s = 0.0
    for begin_s in np.arange(ends_s, due_s.max(initial=ends_s), _BLOCK_S):
        block = (due_s >= begin_s) & (due_s < begin_s + _BLOCK_S)
        if block.any() and good[block].mean() < _FINE:
            recovered_s = float(begin_s + _BLOCK_S - ends_s)
    return recovered_s


@dataclass(frozen=True, slots=True)
class OpenDrive:
    """Drives a service.

    Args:
        url: of the service.
        requests: sent in turn.
        clock: monotonic seconds.
    """

    url: str
    requests: Sequence[Request]
    clock: Clock

    def capacity(self, duration_s: float) -> float:
        """Return good answers per second of a closed loop."""
        found = drive_closed(
            self.url,
            self.requests,
            connections=CONNECTIONS,
            duration_s=duration_s,
            limits=_LIMITS,
            clock=self.clock,
        )
        return found.good_per_s

    def level(self, load: float, capacity_per_s: float, duration_s: float, *, server_cpu: Clock) -> Level:
        """Offer ``load`` times a capacity for a while; ``server_cpu`` tells its processor seconds so far."""
        rate_per_s = load * capacity_per_s
        server_s = server_cpu()
        course, result = self._drive([Segment(duration_s, rate_per_s, rate_per_s)])
        server_cores = (server_cpu() - server_s) / duration_s
        late_ms = 1e3 * result.tally.lateness.percentile_s(99)
        return Level(load, duration_s, course, result.cpu_s / duration_s, server_cores, late_ms)

    def spike(self, capacity_per_s: float, duration_s: float) -> Spike:
        """Offer half a capacity, three times it for ``duration_s``, and half again for twice as long."""
        low, high = 0.5 * capacity_per_s, 3.0 * capacity_per_s
        parts = [(duration_s, low), (duration_s, high), (2 * duration_s, low)]
        course, _ = self._drive([Segment(part_s, per_s, per_s) for part_s, per_s in parts])
        return Spike(duration_s, 2 * duration_s, course)

    def _drive(self, segments: Sequence[Segment]) -> tuple[Course, Result]:
        due_s = due_times(segments, 0, Arrivals.EVEN)
        course = Course()
        result = drive_open(
            self.url,
            self.requests,
            due_s,
            duration_s=sum(segment.duration_s for segment in segments),
            limits=_LIMITS,
            clock=self.clock,
            observers=(course.note,),
        )
        return course, result
