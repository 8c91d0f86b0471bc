"""What the policy sees of the graph at one moment: numbers only, None where nothing was measured."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

_ODD = 4.0  # standard deviations of a count of arrivals; exceeded by chance once in 30,000


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSeen:
    """One deployment."""

    running: int  # replicas that answer
    target: int  # replicas it should have by the last decision
    busy: float | None = None  # replicas' worth of time spent working, summed over them; 0 is idle
    served_per_s: float | None = None  # requests (not batches) that took it

    @property
    def service_s(self) -> float | None:
        """Seconds of work per request at the batch size it has now; None when too little was measured."""
        if self.busy is None or not self.served_per_s:
            return None
        return self.busy / self.served_per_s

    @property
    def utilisation(self) -> float:
        """Which part of their time its replicas are busy; 0.0 when that is not known."""
        return (self.busy or 0.0) / max(self.running, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSeen:
    """One lane, by the traffic documents in force and waiting to be."""

    has_bundle: bool  # in either of them
    has_arm: bool  # users may be sent to it, were it by an override alone
    share: float  # of the users, the larger one
    recall: StageSeen
    ranking: StageSeen


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSeen:
    """The whole graph."""

    at_s: float  # monotonic
    asked_per_s: float | None  # requests that arrived at the routers, refused ones included
    latest_per_s: float | None  # the same, over the last moments alone
    latest_over_s: float  # how long these were
    waiting: float  # requests that wait in the routers
    computed: float  # which part of them goes on to recall and ranking, 0 to 1; the cache answers the rest
    tail_s: float | None  # 99th percentile, from a request's arrival at the router to its answer
    router: StageSeen
    lanes: Mapping[str, LaneSeen]

    @property
    def demand_per_s(self) -> float | None:
        """The rate to be ready for: the latest one when chance does not explain how much higher it is."""
        if self.asked_per_s is None or self.latest_per_s is None:
            return self.asked_per_s
        expected = self.asked_per_s * self.latest_over_s
        odd = self.latest_per_s * self.latest_over_s - expected > _ODD * math.sqrt(max(expected, 1.0))
        return self.latest_per_s if odd else self.asked_per_s


@dataclass(frozen=True, slots=True)
class StageKey:
    """Names a deployment: a stage, and its lane unless it is the router."""

    stage: str
    lane: str = ""

    def __str__(self) -> str:
        return f"{self.stage}-{self.lane}" if self.lane else self.stage


ROUTER = StageKey("router")
