"""Time is an argument: nothing below the edges reads the wall clock."""

import time
from collections.abc import Callable
from dataclasses import dataclass

SECONDS_PER_HOUR = 3_600.0
SECONDS_PER_DAY = 86_400.0
SECONDS_PER_YEAR = 365.25 * SECONDS_PER_DAY

Clock = Callable[[], float]
"""Returns seconds; Unix time (UTC) unless its name says monotonic."""

unix_clock: Clock = time.time
monotonic_clock: Clock = time.monotonic


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment by which an answer must leave."""

    at_s: float
    clock: Clock

    @classmethod
    def after(cls, seconds: float, clock: Clock) -> "Deadline":
        """Start a deadline ``seconds`` from now."""
        return cls(clock() + seconds, clock)

    @property
    def left_s(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self.at_s - self.clock())
