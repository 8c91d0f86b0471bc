"""What is measured of the arms while users are on them: counters of the service, and outcomes by user."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from recsys.experiments.moments import Moments

Totals = Mapping[str, Mapping[str, float]]
"""Arm -> counter -> how much so far; counters only rise, and begin at zero when their process does."""

ANSWERS, ERRORS, DEGRADED, EMPTY, SHORT = "answers", "errors", "degraded", "empty", "short"
_LATENCY = "{stage}_s<={edge}"  # cumulative, as Prometheus counts


def increase(now: Totals, before: Totals) -> dict[str, dict[str, float]]:
    """Return how much every counter has risen.

    One that is smaller than before has begun anew, and what it says is all that is known: the rule of
    Prometheus' own ``increase``.
    """
    risen: dict[str, dict[str, float]] = {}
    for arm, counters in now.items():
        old = before.get(arm, {})
        risen[arm] = {
            name: value - old.get(name, 0.0) if value >= old.get(name, 0.0) else value
            for name, value in counters.items()
        }
    return risen


def latency_counter(stage: str, edge_s: float) -> str:
    """Return the name of the counter of what a stage did within ``edge_s`` seconds (infinity: all of it)."""
    return _LATENCY.format(stage=stage, edge=edge_s)


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long something took, as counts between edges."""

    edges_s: tuple[float, ...] = ()  # rising, the last is infinity
    cumulative: tuple[float, ...] = ()  # shape of the edges: how many took at most so long

    @property
    def n(self) -> int:
        """How many were timed."""
        return round(self.cumulative[-1]) if self.cumulative else 0

    def quantile(self, q: float) -> float | None:
        """Return the time within which a share ``q`` was done, in seconds; None when nothing was timed.

        Between two edges times are taken as spread evenly; beyond the last finite edge as that edge.
        """
        wanted = q * self.n
        below_s, below = 0.0, 0.0
        for edge_s, count in zip(self.edges_s, self.cumulative, strict=True):
            if count >= wanted and count > below:
                if edge_s == float("inf"):
                    return below_s
                return below_s + (edge_s - below_s) * (wanted - below) / (count - below)
            below_s, below = edge_s, count
        return None

    def n_above(self, limit_s: float) -> int:
        """Return how many took longer, rounded down: between two edges times are taken as spread evenly."""
        edges = (0.0, *self.edges_s)
        counts = (0.0, *self.cumulative)
        for (low_s, high_s), (low, high) in zip(pairwise(edges), pairwise(counts), strict=True):
            if high_s > limit_s:
                inside = 1.0 if high_s == float("inf") else (high_s - limit_s) / (high_s - low_s)
                return int(self.n - high + inside * (high - low))
        return 0


@dataclass(frozen=True, slots=True)
class Figures:
    """What the service counted of one arm."""

    answers: int = 0
    errors: int = 0  # requests that were assigned to the arm and got no list at all
    degraded: int = 0  # something was missing in the answer
    empty: int = 0
    short: int = 0  # the models named fewer items than were asked for; popular ones filled the list
    latency: Mapping[str, Latencies] = field(default_factory=dict)  # "answer", or a stage


def figures_of(counters: Mapping[str, float]) -> Figures:
    """Read the figures of one arm from its counters."""
    edges: dict[str, dict[float, float]] = {}
    for name, value in counters.items():
        stage, is_latency, edge = name.partition("_s<=")
        if is_latency:
            edges.setdefault(stage, {})[float(edge)] = value
    latency = {
        stage: Latencies(tuple(sorted(counts)), tuple(counts[edge] for edge in sorted(counts)))
        for stage, counts in edges.items()
    }
    plain = {name: round(counters.get(name, 0.0)) for name in (ANSWERS, ERRORS, DEGRADED, EMPTY, SHORT)}
    return Figures(**plain, latency=latency)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of the lists of one arm, by its users."""

    users: int = 0
    lists: int = 0
    coverage: float | None = None  # different items in equally many lists of each arm; None: too few lists
    rates: Mapping[str, Moments] = field(default_factory=dict)  # "watch_rate" and the like, by user


@dataclass(frozen=True, slots=True)
class Measurements:
    """All that is known of the arms since a step began; what has no source, or an old one, is None."""

    figures: Mapping[str, Figures] | None = None
    outcomes: Mapping[str, Outcomes] | None = None
    shares: Mapping[str, float] = field(default_factory=dict)  # what the arms were given
    interleaved: bool = False  # whether the canary takes turns in the lists of some users
