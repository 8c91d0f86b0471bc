"""What the HTTP face stands on: everything a router replica consists of, put together by the graph."""

from dataclasses import dataclass
from typing import Any

from deployments.admission import Rooms
from deployments.door import OPEN_DOOR, Door
from deployments.intake import Intake
from deployments.metrics import CACHE_BYTES, CACHE_ENTRIES, ENTRIES_LATER, REFRESHED_SECONDS
from deployments.router import Router
from deployments.settings import Limits
from deployments.traffic import InForce, TrafficFollower
from deployments.traffic_figures import show_traffic
from recsys.core.clock import Clock
from recsys.core.errors import NotFoundError, UnavailableError
from recsys.rollout.traffic import TrafficDocument

_OF_ROLLOUT = {"id", "bundle", "phase", "step", "since_s", "paused"}


@dataclass(frozen=True, slots=True)
class Service:
    """One router replica, free of HTTP."""

    router: Router
    intake: Intake
    traffic: TrafficFollower
    limits: Limits
    clock: Clock  # Unix time
    monotonic: Clock
    rooms: Rooms | None = None  # None: nobody is counted
    door: Door = OPEN_DOOR

    def in_force(self) -> InForce:
        """Return what requests are answered by; UnavailableError when no bundle is loaded yet."""
        in_force = self.traffic.in_force
        if in_force is None:
            raise UnavailableError("router", "no bundle is loaded")
        return in_force

    def item(self, item_id: str) -> dict[str, Any]:
        """Return an item as the catalogue has it.

        Raises:
            NotFoundError: there is none of that id.
        """
        catalogue = self.in_force().first.catalogue
        row = catalogue.items.row(item_id)
        if row < 0:
            raise NotFoundError("item", item_id[:80])
        return catalogue.describe(row)

    def knows(self, item_id: str) -> bool:
        """Tell whether the catalogue has an item."""
        return item_id in self.in_force().first.catalogue.items

    def missing(self) -> list[str]:
        """Return what this router waits for before it can answer in full."""
        in_force, wanted = self.traffic.in_force, self.traffic.wanted
        if wanted is None:
            return ["traffic document"]
        if in_force is None:
            return [f"bundle {bundle} of lane {lane}" for lane, bundle in wanted.lanes.items() if bundle]
        first = next(arm.lane for arm in in_force.document.arms if arm.lane in in_force.lanes)
        bundle = in_force.lanes[first].bundle
        holdings = self.traffic.heard(first)
        ready = holdings and all(bundle in holding.loaded for holding in holdings)
        return [] if ready else [f"recall and ranking of lane {first} with bundle {bundle}"]

    def traffic_report(self) -> dict[str, Any]:
        """Return which document is in force, what every lane holds, and what was refused and why."""
        in_force, wanted = self.traffic.in_force, self.traffic.wanted
        return {
            "in_force": _public(in_force.document) if in_force else None,
            "wanted_version": wanted.version if wanted else None,
            "trouble": self.traffic.trouble,
            "lanes": {lane: showcase.bundle for lane, showcase in in_force.lanes.items()} if in_force else {},
            "ready": self.traffic.ready(),
            "replicas": [
                {"lane": lane, "loaded": holding.loaded, "wanted": holding.wanted}
                for lane, holdings in sorted(self.traffic.holdings.items())
                for holding in holdings
            ],
            "refused": [
                {"lane": lane, "bundle": bundle, "why": why}
                for lane, bundles in sorted(self.traffic.refused().items())
                for bundle, why in bundles.items()
            ],
        }

    def show(self) -> None:
        """Bring the gauges of what this router knows now up to date."""
        show_traffic(self.traffic)
        CACHE_ENTRIES.set(self.router.cache.n_entries)
        CACHE_BYTES.set(self.router.cache.n_bytes)
        ENTRIES_LATER.set(self.intake.n_later)
        if self.rooms is not None:
            self.rooms.show()
        REFRESHED_SECONDS.set(self.clock())


def _public(document: TrafficDocument) -> dict[str, Any]:
    """Return a document without what is nobody's business: users by name, and how decisions were made."""
    state = document.rollout
    return {
        **document.model_dump(mode="json", exclude={"overrides", "rollout"}),
        "n_overrides": len(document.overrides),
        "rollout": None if state is None else state.model_dump(mode="json", include=_OF_ROLLOUT),
    }
