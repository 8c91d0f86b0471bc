"""Every policy on every trace, in one table."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from ray.serve.config import AutoscalingConfig

from deployments.autoscaling.settings import AutoscalingSettings, Bounds
from deployments.autoscaling.simulation.policies import QueueByQueue, SeesTheGraph, turns
from deployments.autoscaling.simulation.traces import Trace, traces
from deployments.autoscaling.simulation.world import Costs, Policy, Run, run

OURS, TUNED, DEFAULT = "graph", "queues, tuned", "queues, Serve's defaults"

_TUNED_TARGET = 0.8  # ongoing requests per replica; of 0.5 to 1.0, the fewest replicas without much lateness


@dataclass(frozen=True, slots=True)
class Compared:
    """One policy on one trace."""

    trace: Trace
    policy: str
    run: Run

    def row(self) -> dict[str, str | float | int]:
        """Return the figures for a table."""
        return {
            "trace": self.trace.name,
            "policy": self.policy,
            "late_percent": round(100 * self.run.late, 2),
            "replica_s": round(self.run.replica_s),
            "changes": self.run.changes,
            "turns": turns(self.run.replicas),
        }


def policies(costs: Costs) -> dict[str, Policy]:
    """Return new ones; every one may have as many replicas.

    ``TUNED`` is Serve's policy as well as we could set it by hand, with the times of ours.
    """
    stage = Bounds(least=1, most=costs.most)
    ours = AutoscalingSettings(recall=stage, ranking=stage, goal_s=costs.goal_s)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        tuned = AutoscalingConfig(
            min_replicas=1,
            max_replicas=costs.most,
            target_ongoing_requests=_TUNED_TARGET,
            metrics_interval_s=ours.decide_every_s,
            look_back_period_s=ours.window_s,
            upscale_delay_s=0.0,
            downscale_delay_s=ours.hold_s,
        )
        default = AutoscalingConfig(min_replicas=1, max_replicas=costs.most)
    return {OURS: SeesTheGraph(ours), TUNED: QueueByQueue(tuned), DEFAULT: QueueByQueue(default)}


def compare(costs: Costs, *, seed: int) -> Iterator[Compared]:
    """Run every policy on every trace; all see the same arrivals."""
    for trace in traces():
        for name, policy in policies(costs).items():
            yield Compared(trace, name, run(trace, policy, costs, seed=seed))
