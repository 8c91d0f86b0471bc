"""How many replicas each deployment should have. Plain numbers in, plain numbers out; no Ray.

By Little's law a stage that spends ``service_s`` on a request keeps ``rate * service_s`` replicas busy. All
stages of a lane are sized from the one rate at which requests arrive at the routers: a jump in load reaches
ranking in the same decision as recall, although what waits at recall has yet to come to it.
"""

import math
from collections import deque
from dataclasses import dataclass

from deployments.autoscaling.seen import ROUTER, GraphSeen, LaneSeen, StageKey, StageSeen
from deployments.autoscaling.settings import AutoscalingSettings, Bounds

_LATE_STEP = 1.5  # one decision asks for at most so many times more because answers are late
_ROUNDING = 1e-9  # 0.6 / 0.2 is a little more than 3


@dataclass(frozen=True, slots=True)
class Pressure:
    """What late answers have taught: the rate alone asks for too little, by this factor."""

    factor: float = 1.0
    since_s: float = -math.inf  # when it last grew
    at_per_s: float = 0.0  # the rate at which it was learnt

    def after(self, seen: GraphSeen, settings: AutoscalingSettings) -> "Pressure":
        """Return what is left of it: nothing when load has fallen well below, or after a long time."""
        fell = seen.demand_per_s is not None and seen.demand_per_s < self.at_per_s * (1 - settings.slack)
        old = seen.at_s - self.since_s > settings.forget_s
        return Pressure() if fell or old else self

    def grown(self, seen: GraphSeen, settings: AutoscalingSettings) -> "Pressure":
        """Return it after one more late answer in a hundred."""
        step = min((seen.tail_s or 0.0) / settings.goal_s, _LATE_STEP)
        return Pressure(min(self.factor * step, settings.max_pressure), seen.at_s, seen.demand_per_s or 0.0)


class GraphScaler:
    """Decides for the whole graph, and remembers what it needs for the next decision.

    Args:
        settings: bounds, goals and times.
    """

    def __init__(self, settings: AutoscalingSettings) -> None:
        self._settings = settings
        self._service_s: dict[StageKey, float] = {}  # as last measured
        self._pressure: dict[StageKey, Pressure] = {}
        self._changed_s = -math.inf  # when replicas were on their way, or lateness asked for some
        self._needs: dict[StageKey, deque[tuple[float, int]]] = {}  # when, replicas that would do with slack

    def decide(self, seen: GraphSeen) -> dict[StageKey, int]:
        """Return how many replicas each deployment should have from now on.

        The answer for a deployment that is needed lies within its bounds; a lane without a bundle gets none.
        Where nothing was measured the number stays what it is.
        """
        stages = _stages(seen)
        for key, stage in stages.items():
            if stage.service_s is not None:
                self._service_s[key] = stage.service_s
        self._learn(seen, stages)
        targets = {ROUTER: self._sized(ROUTER, seen.router, self._settings.router, seen, seen.router.busy)}
        for name, lane in seen.lanes.items():
            targets |= self._lane(name, lane, seen)
        return targets

    def _lane(self, name: str, lane: LaneSeen, seen: GraphSeen) -> dict[StageKey, int]:
        targets = {}
        for stage_name, stage, bounds in (
            ("recall", lane.recall, self._settings.recall),
            ("ranking", lane.ranking, self._settings.ranking),
        ):
            key = StageKey(stage_name, name)
            if lane.has_arm:
                targets[key] = self._sized(key, stage, bounds, seen, self._busy(key, lane.share, seen))
            else:
                idle = min(self._settings.standby_replicas, bounds.most) if lane.has_bundle else 0
                targets[key] = self._settled(key, stage.target, idle, idle, seen.at_s)
        return targets

    def _busy(self, key: StageKey, share: float, seen: GraphSeen) -> float | None:
        """Return how many replicas its users will keep busy; None when that cannot be said."""
        service_s = self._service_s.get(key) or self._elsewhere(key)
        if seen.demand_per_s is None or service_s is None:
            return None
        return (seen.demand_per_s + seen.waiting / self._settings.drain_s) * seen.computed * share * service_s

    def _elsewhere(self, key: StageKey) -> float | None:
        """Return what a request costs the same stage of another lane: for a lane that has served none yet."""
        known = [cost for other, cost in self._service_s.items() if other.stage == key.stage]
        return max(known, default=None)

    def _sized(
        self, key: StageKey, stage: StageSeen, bounds: Bounds, seen: GraphSeen, busy: float | None
    ) -> int:
        if busy is None or seen.demand_per_s is None:
            kept = bounds.clip(stage.target)
            return self._settled(key, stage.target, kept, kept, seen.at_s)
        wanted = busy * self._pressure.get(key, Pressure()).factor / self._settings.utilisation
        grows = wanted > stage.target * (1 + self._settings.tolerance)
        needed = _up(wanted) if grows else stage.target
        ample = _up(wanted * (1 + self._settings.slack))
        return bounds.clip(self._settled(key, stage.target, needed, ample, seen.at_s))

    def _settled(self, key: StageKey, target: int, needed: int, ample: int, at_s: float) -> int:
        """Return ``needed`` when it is more than there is, else the most that was ample for a while.

        Args:
            key: of the deployment.
            target: replicas it should have by the last decision.
            needed: what it cannot do without.
            ample: what would do with something to spare.
            at_s: now.
        """
        needs = self._needs.setdefault(key, deque([(at_s, target)]))  # nobody knows what it was needed for
        while needs and needs[-1][1] <= ample:
            needs.pop()  # only a later and larger one can still decide
        needs.append((at_s, ample))
        while needs[0][0] < at_s - self._settings.hold_s:
            needs.popleft()
        return needed if needed > target else min(target, needs[0][1])

    def _learn(self, seen: GraphSeen, stages: dict[StageKey, StageSeen]) -> None:
        """When answers are late, put more pressure on the one stage that is to blame."""
        self._pressure = {
            key: self._pressure.get(key, Pressure()).after(seen, self._settings) for key in stages
        }
        if any(stage.running < stage.target for stage in stages.values()):
            self._changed_s = seen.at_s
        settling = seen.at_s - self._changed_s < self._settings.settle_s  # the tail is that of before
        if seen.tail_s is None or seen.tail_s <= self._settings.goal_s or settling:
            return
        blamed = max(stages, key=lambda key: stages[key].utilisation)
        if stages[blamed].utilisation >= self._settings.blame_utilisation:
            self._pressure[blamed] = self._pressure[blamed].grown(seen, self._settings)
            self._changed_s = seen.at_s  # one thing at a time


def _up(replicas: float) -> int:
    return math.ceil(replicas - _ROUNDING)


def _stages(seen: GraphSeen) -> dict[StageKey, StageSeen]:
    found = {ROUTER: seen.router}
    for name, lane in seen.lanes.items():
        found |= {StageKey("recall", name): lane.recall, StageKey("ranking", name): lane.ranking}
    return found
