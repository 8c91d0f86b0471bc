"""Which rate to try next: up in growing steps until one fails, then halving what is between."""

from dataclasses import dataclass

from recsys.core.errors import FieldError


@dataclass(frozen=True, slots=True)
class Tried:
    """A rate and whether all marks held at it."""

    rate_per_s: float
    passed: bool


@dataclass(frozen=True, slots=True)
class LimitSearch:
    """A search is a pure function of what was tried: no clock, no server.

    >>> search = LimitSearch(start_per_s=100.0, growth=2.0, precision=0.1, most_steps=20)
    >>> search.next_rate([]), search.next_rate([Tried(100.0, True)])
    (100.0, 200.0)
    >>> search.next_rate([Tried(100.0, True), Tried(200.0, False)])
    150.0
    """

    start_per_s: float
    growth: float
    """Factor from one rate to the next while going up; above 1."""
    precision: float
    """The search ends when the lowest failed rate is at most this share above the highest passed one."""
    most_steps: int
    """Rates tried at most."""

    def __post_init__(self) -> None:
        if not (self.start_per_s > 0 and self.growth > 1 and self.precision > 0 and self.most_steps > 0):
            raise FieldError("search", str(self), "a start, precision and steps above 0, and growth above 1")

    def next_rate(self, tried: list[Tried]) -> float | None:
        """Return the rate to try next; None when the search is over."""
        if len(tried) >= self.most_steps:
            return None
        if not tried:
            return self.start_per_s
        passed, failed = limit_of(tried), _lowest_failed(tried)
        if failed is None:
            return (passed or self.start_per_s) * self.growth
        if passed is None:
            lower = failed / self.growth
            return None if lower < self.start_per_s / self.growth**_STEPS_DOWN else lower
        if failed / passed - 1 <= self.precision:
            return None
        return (passed + failed) / 2


_STEPS_DOWN = 8  # from a start that fails at once


def limit_of(tried: list[Tried]) -> float | None:
    """Return the highest rate that passed below every rate that failed; None when there is none."""
    failed = _lowest_failed(tried)
    passed = [t.rate_per_s for t in tried if t.passed and (failed is None or t.rate_per_s < failed)]
    return max(passed, default=None)


def _lowest_failed(tried: list[Tried]) -> float | None:
    return min((t.rate_per_s for t in tried if not t.passed), default=None)
