"""What the replicas of recall and ranking have in common; one process of the graph each."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Generic, TypeVar

import ray

from deployments.autoscaling.demand import stage_report
from deployments.bundles import holder_for
from deployments.faults import Faults
from deployments.garbage import collect_seldom
from deployments.lane import Following, Holding, Overlaying
from deployments.logs import log_with_serve
from deployments.overlaid import follow_catalogue
from deployments.settings import GraphArgs, Replicas
from deployments.traffic_stores import open_traffic_store
from deployments.wire.listener import Listener, Method
from recsys.overlay.overlay import Overlay
from recsys.registry.bundle import BundleReader

Part = TypeVar("Part")


class StageReplica(Generic[Part]):
    """Holds a part of its lane's bundle, and is called by wire or through Ray Serve.

    Args:
        args: of the graph.
        stage: its name.
        lane: which lane.
        load: reads the part that is needed here.
        replicas: how many calls one may have.
        methods: what routers may call by wire, besides ``holding``.
        overlaid: makes the part anew when the catalogue changes.
    """

    def __init__(
        self,
        args: GraphArgs,
        stage: str,
        lane: str,
        load: Callable[[BundleReader], Part],
        replicas: Replicas,
        methods: Mapping[str, Method],
        overlaid: Callable[[BundleReader, Part, Overlay], Part],
    ) -> None:
        log_with_serve()
        catalogue = follow_catalogue(args)
        overlaying = None if catalogue is None else Overlaying(lambda: catalogue.in_force, overlaid)
        self._holder = holder_for(args, open_traffic_store(args.traffic), lane, load, overlaying)
        self._served = 0
        self._faults = Faults(stage, args.faults, Random())
        self._following = Following(
            [self._holder], args.poll_s, first=(lambda: None) if catalogue is None else catalogue.refresh
        )
        self._listener = Listener(
            {**methods, "holding": self.holding},
            host=_own_node_ip(),
            max_waiting=replicas.in_flight,
        )
        collect_seldom()

    async def holding(self) -> Holding:
        """Say which bundles are loaded here, and where this replica is called by wire."""
        return replace(self._holder.holding(), address=self._listener.address)

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Say what was done here so far. Serve asks on the event loop: it is that thread's time."""
        return stage_report(self._served, busy_s=time.thread_time())

    def __del__(self) -> None:
        """Hang up; Ray Serve calls this when it stops a replica in good order."""
        if hasattr(self, "_listener"):  # not when the constructor failed
            self._listener.close()


def _own_node_ip() -> str:
    """Return the address by which Ray's other nodes reach this one; loopback where all is on one machine."""
    own = ray.get_runtime_context().get_node_id()
    return next(
        str(node["NodeManagerAddress"])
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["NodeID"] == own
    )
