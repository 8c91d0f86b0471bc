"""The policy as Ray Serve calls it: one for the whole application, ten times a second, in the controller."""

from collections.abc import Mapping
from typing import Any

from ray.serve._private.common import DeploymentID
from ray.serve.config import AutoscalingContext

from deployments.autoscaling.policy import GraphScaler
from deployments.autoscaling.reports import Reported, graph_seen
from deployments.autoscaling.seen import ROUTER, StageKey
from deployments.autoscaling.settings import AutoscalingSettings
from recsys.core.clock import monotonic_clock

Decision = tuple[dict[DeploymentID, int], dict[DeploymentID, dict[str, Any]]]


class ServePolicy:
    """Translates: contexts of Ray Serve to what the policy sees, its decision to targets of Ray Serve.

    Ray Serve makes one and calls it again and again. When the controller is restarted it begins anew, and
    holds what there is until it has seen enough.

    Args:
        settings: an :class:`AutoscalingSettings`, as JSON values.
        lanes: of the graph.
    """

    def __init__(self, settings: dict[str, Any], lanes: list[str]) -> None:
        self._settings = AutoscalingSettings.model_validate(settings)
        self._lanes = lanes
        self._scaler = GraphScaler(self._settings)
        self._decided_s = float("-inf")
        self._targets: dict[StageKey, int] = {}

    def __call__(self, contexts: Mapping[DeploymentID, AutoscalingContext]) -> Decision:
        """Return the target of every deployment, and no state: what has to be remembered is here."""
        by_name = {deployment.name: deployment for deployment in contexts}
        keys = [ROUTER, *(StageKey(stage, lane) for lane in self._lanes for stage in ("recall", "ranking"))]
        if not all(str(key) in by_name for key in keys):  # the application is still being deployed
            return {}, {}
        at_s = monotonic_clock()
        if at_s - self._decided_s >= self._settings.decide_every_s:
            self._decided_s = at_s
            seen = {key: contexts[by_name[str(key)]] for key in keys}
            self._targets = self._decide(at_s, seen)
        return {by_name[str(key)]: target for key, target in self._targets.items()}, {}

    def _decide(self, at_s: float, contexts: Mapping[StageKey, AutoscalingContext]) -> dict[StageKey, int]:
        now_s = contexts[ROUTER].current_time or 0.0
        lanes = {
            lane: (
                _reported(contexts[StageKey("recall", lane)]),
                _reported(contexts[StageKey("ranking", lane)]),
            )
            for lane in self._lanes
        }
        router = _reported(contexts[ROUTER])
        seen = graph_seen(at_s, now_s, self._settings.window_s, router, lanes)
        return self._scaler.decide(seen)


def _reported(context: AutoscalingContext) -> Reported:
    figures = {
        name: [[(point.timestamp, point.value) for point in series] for series in replicas.values()]
        for name, replicas in (context.raw_metrics or {}).items()
    }
    return Reported(context.current_num_replicas, context.target_num_replicas, figures)
