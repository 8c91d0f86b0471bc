"""A model of the graph: two lanes of two stages in a row, replicas that take time to start, batches.

What comes in a tick is spread evenly over it, and a stage works off its queue as fast as its replicas can.
Whoever would wait longer than ``give_up_s`` at a stage is answered without it, as in the real graph, and
counts as late.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from deployments.autoscaling.seen import StageKey
from deployments.autoscaling.simulation.traces import Trace

TICK_S = 0.1
_GATHER_S = 0.01
LANES = ("blue", "green")
KEYS = tuple(StageKey(stage, lane) for lane in LANES for stage in ("recall", "ranking"))


@dataclass(frozen=True, slots=True)
class Costs:
    """What the work costs and how long people wait."""

    per_call_s: Mapping[str, float] = field(default_factory=lambda: {"recall": 0.002, "ranking": 0.001})
    per_request_s: Mapping[str, float] = field(default_factory=lambda: {"recall": 0.003, "ranking": 0.006})
    largest_batch: int = 64
    start_s: float = 6.0  # from a decision to a replica that answers
    goal_s: float = 0.1  # an answer later than this is late
    give_up_s: float = 0.4
    most: int = 10  # replicas of a stage

    def service_s(self, stage: str, batch: float) -> float:
        """Return the work per request in batches of this size."""
        return self.per_call_s[stage] / batch + self.per_request_s[stage]


@dataclass(slots=True)
class Stage:
    """One deployment in the model."""

    running: int
    starting: list[float] = field(default_factory=list)  # when each will answer
    queue: float = 0.0
    busy: float = 0.0  # replicas' worth, in the last tick
    served: float = 0.0  # requests, in the last tick

    @property
    def target(self) -> int:
        """Replicas that are there or on their way."""
        return self.running + len(self.starting)

    def resize(self, target: int, ready_s: float) -> None:
        """Start or stop replicas; those that are not there yet go first."""
        while self.target < target:
            self.starting.append(ready_s)
        while self.target > target:
            if self.starting:
                self.starting.pop()
            else:
                self.running -= 1

    def work(self, arrived: float, name: str, costs: Costs) -> tuple[float, float]:
        """Live through a tick; return how long its arrivals wait, and how many were given up."""
        at_once = arrived * min(1.0, _GATHER_S / TICK_S)  # comes while a call is under way
        batch = float(np.clip((self.queue + at_once) / max(self.running, 1), 1.0, costs.largest_batch))
        self.queue += arrived
        if not self.running:
            given_up, self.queue, self.busy, self.served = self.queue, 0.0, 0.0, 0.0
            return 0.0, given_up
        service_s = costs.service_s(name, batch)
        per_s = self.running / service_s
        self.served = min(self.queue, per_s * TICK_S)
        self.queue -= self.served
        self.busy = self.served * service_s / TICK_S
        given_up = max(0.0, self.queue - per_s * costs.give_up_s)
        self.queue -= given_up
        return self.queue / per_s + service_s * batch, given_up


@dataclass(frozen=True, slots=True)
class Moment:
    """What happened in one tick."""

    at_s: float
    arrived: float
    late: float
    latency_s: float  # of those that were answered, of the slower lane
    green_wanted: float  # share by the traffic document
    green: float  # share in force
    stages: Mapping[StageKey, Stage]  # at the end of the tick; it changes with the next


class Policy(Protocol):
    """Whatever decides how many replicas there are."""

    def look(self, moment: Moment) -> None:
        """See a tick."""
        ...

    def decide(self, at_s: float) -> Mapping[StageKey, int]:
        """Return the targets from now on; a deployment that is missing keeps its size."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """What became of one trace under one policy."""

    late: float  # share of requests, 0 to 1
    replica_s: float  # replicas that run or start, summed over time
    changes: int  # of any target
    seconds: tuple[float, ...]  # when the following were sampled, once a second
    replicas: tuple[int, ...]  # of all stages
    latency_s: tuple[float, ...]


def run(trace: Trace, policy: Policy, costs: Costs, *, seed: int, decide_every_s: float = 1.0) -> Run:
    """Let a policy live through a trace; it begins with one replica per stage of lane blue.

    Args:
        trace: the load.
        policy: what decides.
        costs: of the work.
        seed: of the arrivals, which are Poisson.
        decide_every_s: how often it is asked.
    """
    rng = np.random.default_rng(seed)
    stages = {key: Stage(int(key.lane == "blue")) for key in KEYS}
    n_ticks = round(trace.rate_per_s.size / TICK_S)
    every = round(decide_every_s / TICK_S)
    arrived = late = replica_s = 0.0
    changes, green = 0, 0.0
    sampled: list[tuple[float, int, float]] = []
    for tick in range(n_ticks):
        at_s = tick * TICK_S
        second = int(at_s + TICK_S / 2)
        wanted = float(trace.green_share[second])
        green = _in_force(wanted, green, stages)
        moment = _tick(
            at_s, float(rng.poisson(trace.rate_per_s[second] * TICK_S)), wanted, green, stages, costs
        )
        policy.look(moment)
        arrived, late = arrived + moment.arrived, late + moment.late
        replica_s += TICK_S * sum(stage.target for stage in stages.values())
        if tick % every == every - 1:
            changes += _apply(policy.decide(at_s), stages, at_s + costs.start_s, costs.most)
            sampled.append((at_s, sum(stage.target for stage in stages.values()), moment.latency_s))
    seconds, replicas, latency_s = zip(*sampled, strict=True)
    return Run(late / max(arrived, 1.0), replica_s, changes, seconds, replicas, latency_s)


def _in_force(wanted: float, now: float, stages: Mapping[StageKey, Stage]) -> float:
    """A document comes into force when every lane that it sends users to has replicas."""
    green_is_up = all(stage.running for key, stage in stages.items() if key.lane == "green")
    blue_is_up = all(stage.running for key, stage in stages.items() if key.lane == "blue")
    ready = (green_is_up or wanted == 0.0) and (blue_is_up or wanted == 1.0)
    return wanted if ready else now


def _tick(
    at_s: float, arrived: float, wanted: float, green: float, stages: Mapping[StageKey, Stage], costs: Costs
) -> Moment:
    late, latencies_s = 0.0, [0.0]
    for lane, share in (("blue", 1.0 - green), ("green", green)):
        comes = arrived * share
        waits_s = 0.0
        given_up = 0.0
        for name in ("recall", "ranking"):
            stage = stages[StageKey(name, lane)]
            stage.running += sum(ready_s <= at_s for ready_s in stage.starting)
            stage.starting = [ready_s for ready_s in stage.starting if ready_s > at_s]
            wait_s, lost = stage.work(comes, name, costs)
            waits_s, given_up = waits_s + wait_s, given_up + lost
            comes = stage.served
        late += max(given_up, arrived * share if waits_s > costs.goal_s else 0.0)
        if share:
            latencies_s.append(waits_s)
    return Moment(at_s, arrived, min(late, arrived), max(latencies_s), wanted, green, stages)


def _apply(
    targets: Mapping[StageKey, int], stages: Mapping[StageKey, Stage], ready_s: float, most: int
) -> int:
    changes = 0
    for key, stage in stages.items():
        target = min(most, max(0, targets.get(key, stage.target)))
        changes += target != stage.target
        stage.resize(target, ready_s)
    return changes
