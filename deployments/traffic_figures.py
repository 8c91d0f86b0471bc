"""What a router says of its traffic document and of the rollout in it, as gauges."""

from collections.abc import Mapping

from prometheus_client import Gauge

from deployments.metrics import (
    ARM_SHARE,
    BUNDLE_INFO,
    ROLLOUT_BLIND,
    ROLLOUT_DUE,
    ROLLOUT_PHASE,
    TRAFFIC_UNUSABLE,
    TRAFFIC_VERSION,
)
from deployments.traffic import TrafficFollower
from recsys.rollout.state import Phase, RolloutState

Labels = tuple[str, ...]

_shown: dict[Gauge, dict[Labels, float]] = {}
"""What each gauge of this process shows: from the files no labels ever go away."""


def show_traffic(traffic: TrafficFollower) -> None:
    """Bring the gauges up to date."""
    in_force, wanted = traffic.in_force, traffic.wanted
    arms, lanes = (in_force.document.arms, in_force.lanes) if in_force is not None else ((), {})
    bundles = [(lane, showcase.bundle, "in_force") for lane, showcase in lanes.items()]
    bundles += [(lane, bundle, "refused") for lane, found in traffic.refused().items() for bundle in found]
    _show(BUNDLE_INFO, dict.fromkeys(bundles, 1.0))
    _show(ARM_SHARE, {(arm.arm,): arm.share for arm in arms})
    TRAFFIC_VERSION.set(in_force.document.version if in_force is not None else 0)
    TRAFFIC_UNUSABLE.set(traffic.trouble is not None)
    _show_rollout(wanted.rollout if wanted is not None else None)


def _show_rollout(state: RolloutState | None) -> None:
    for phase in Phase:
        ROLLOUT_PHASE.labels(phase).set(state is not None and state.phase is phase)
    ROLLOUT_BLIND.set(state is not None and state.blind)
    ROLLOUT_DUE.set((state.due_s if state is not None else None) or 0.0)


def _show(gauge: Gauge, values: Mapping[Labels, float]) -> None:
    """Show values by labels, and zero for labels that have none any more."""
    shown = _shown.setdefault(gauge, {})
    shown |= dict.fromkeys(shown, 0.0) | dict(values)
    for labels, value in shown.items():
        gauge.labels(*labels).set(value)
