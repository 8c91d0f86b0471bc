"""Where the processes of the graph find bundles and the traffic document."""

from collections.abc import Callable
from typing import TypeVar

from deployments.lane import BundleHolder, Overlaying
from deployments.settings import GraphArgs
from recsys.core.clock import monotonic_clock
from recsys.ranking.matrix import FEATURE_SCHEMA
from recsys.registry.bundle import BundleReader
from recsys.registry.open import open_registry
from recsys.registry.reader import open_bundle
from recsys.rollout.traffic_store import TrafficStore

Part = TypeVar("Part")


def holder_for(
    args: GraphArgs,
    traffic: TrafficStore,
    lane: str,
    load: Callable[[BundleReader], Part],
    overlaying: Overlaying[Part] | None,
) -> BundleHolder[Part]:
    """Return what holds one part of a lane's bundle in this process, which opens ``traffic`` once for all."""
    registry = open_registry(args.registry)
    return BundleHolder(
        lane,
        load,
        open_bundle=lambda bundle: open_bundle(registry.get(bundle), feature_schema=FEATURE_SCHEMA),
        traffic=traffic,
        clock=monotonic_clock,
        retry_refused_s=args.retry_refused_s,
        overlaying=overlaying,
    )
