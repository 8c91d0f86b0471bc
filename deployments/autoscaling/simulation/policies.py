"""The policies that are compared: ours, and Ray Serve's own on each queue by itself."""

import itertools
from collections import deque
from collections.abc import Mapping

import numpy as np
from ray.serve._private.common import DeploymentID
from ray.serve.autoscaling_policy import (
    _apply_delay_logic,
    _apply_scaling_factors,
    replica_queue_length_autoscaling_policy,
)
from ray.serve.config import AutoscalingConfig, AutoscalingContext

from deployments.autoscaling.policy import GraphScaler
from deployments.autoscaling.seen import GraphSeen, LaneSeen, StageKey, StageSeen
from deployments.autoscaling.settings import AutoscalingSettings
from deployments.autoscaling.simulation.world import KEYS, LANES, TICK_S, Moment

_ROUTER = StageSeen(running=2, target=2, busy=0.0)


class SeesTheGraph:
    """Ours, on what it would be told: rates and tails of the last ``window_s`` seconds."""

    def __init__(self, settings: AutoscalingSettings) -> None:
        self._scaler = GraphScaler(settings)
        ticks = round(settings.window_s / TICK_S)
        self._window: deque[tuple[float, float, dict[StageKey, tuple[float, float]]]] = deque(maxlen=ticks)
        self._latest_ticks = round(settings.decide_every_s / TICK_S)
        self._last: Moment | None = None

    def look(self, moment: Moment) -> None:
        """Remember a tick."""
        work = {key: (stage.busy, stage.served) for key, stage in moment.stages.items()}
        self._window.append((moment.arrived, moment.latency_s, work))
        self._last = moment

    def decide(self, at_s: float) -> Mapping[StageKey, int]:
        """Ask the policy."""
        now = self._last
        if now is None:
            return {}
        over_s = len(self._window) * TICK_S
        latest = list(self._window)[-self._latest_ticks :]
        shares = {
            "blue": max(1.0 - now.green_wanted, 1.0 - now.green),
            "green": max(now.green_wanted, now.green),
        }
        seen = GraphSeen(
            at_s=at_s,
            asked_per_s=sum(arrived for arrived, _, _ in self._window) / over_s,
            latest_per_s=sum(arrived for arrived, _, _ in latest) / (len(latest) * TICK_S),
            latest_over_s=len(latest) * TICK_S,
            computed=1.0,
            waiting=sum(now.stages[StageKey("recall", lane)].queue for lane in LANES),
            tail_s=float(np.quantile([latency_s for _, latency_s, _ in self._window], 0.99)),
            router=_ROUTER,
            lanes={
                lane: LaneSeen(
                    has_bundle=share > 0,
                    has_arm=share > 0,
                    share=share,
                    recall=self._stage(StageKey("recall", lane), now),
                    ranking=self._stage(StageKey("ranking", lane), now),
                )
                for lane, share in shares.items()
            },
        )
        return self._scaler.decide(seen)

    def _stage(self, key: StageKey, now: Moment) -> StageSeen:
        stage = now.stages[key]
        busy = float(np.mean([work[key][0] for _, _, work in self._window]))
        served_per_s = float(np.mean([work[key][1] for _, _, work in self._window])) / TICK_S
        return StageSeen(running=stage.running, target=stage.target, busy=busy, served_per_s=served_per_s)


class QueueByQueue:
    """Ray Serve's default policy, its own functions, once per deployment.

    It cannot know which lane is in use, so each keeps a replica at least.

    Args:
        config: of every deployment.
    """

    def __init__(self, config: AutoscalingConfig) -> None:
        self._config = config
        ticks = round(config.look_back_period_s / TICK_S)
        self._ongoing: dict[StageKey, deque[float]] = {key: deque(maxlen=ticks) for key in KEYS}
        self._state: dict[StageKey, dict[str, object]] = {key: {} for key in KEYS}
        self._last: Moment | None = None

    def look(self, moment: Moment) -> None:
        """Remember how much is under way at each deployment: what waits, and what is worked on."""
        for key, stage in moment.stages.items():
            self._ongoing[key].append(stage.queue + stage.busy)
        self._last = moment

    def decide(self, at_s: float) -> Mapping[StageKey, int]:
        """Ask the policy for each deployment."""
        if self._last is None:
            return {}
        return {key: self._decide(key, at_s, self._last) for key in KEYS}

    def _decide(self, key: StageKey, at_s: float, now: Moment) -> int:
        stage = now.stages[key]
        context = self._context(key, at_s, stage.running, stage.target)
        wanted, _ = replica_queue_length_autoscaling_policy(context)
        scaled = _apply_scaling_factors(wanted, stage.running, self._config)
        # Ray Serve reads the clock of the machine here; ours is handed to the same function.
        target, self._state[key] = _apply_delay_logic(
            max(0, scaled), stage.target, self._config, self._state[key], _now=at_s
        )
        return max(self._config.min_replicas, min(self._config.max_replicas, target))

    def _context(self, key: StageKey, at_s: float, running: int, target: int) -> AutoscalingContext:
        return AutoscalingContext(
            deployment_id=DeploymentID(str(key), "marquee"),
            deployment_name=str(key),
            app_name="marquee",
            current_num_replicas=running,
            target_num_replicas=target,
            running_replicas=[],
            total_num_requests=float(np.mean(self._ongoing[key])),
            total_queued_requests=None,
            aggregated_metrics=None,
            raw_metrics=None,
            capacity_adjusted_min_replicas=self._config.min_replicas,
            capacity_adjusted_max_replicas=self._config.max_replicas,
            policy_state={},
            last_scale_up_time=None,
            last_scale_down_time=None,
            current_time=at_s,
            config=self._config,
        )


def turns(replicas: tuple[int, ...]) -> int:
    """Count how often a series went up after it had gone down, or down after up."""
    steps = [after - before for before, after in itertools.pairwise(replicas) if after != before]
    return sum((one > 0) != (other > 0) for one, other in itertools.pairwise(steps))
