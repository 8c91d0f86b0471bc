"""Which traffic document is in force in a router: a new one is taken over when its lanes are ready for it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from deployments.lane import BundleHolder, Holding
from deployments.showcase import Showcase
from deployments.stages import LaneStages
from recsys.core.errors import RecsysError, UnavailableError
from recsys.rollout.traffic import TrafficDocument, deal
from recsys.rollout.traffic_store import TrafficStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InForce:
    """A document, and the lanes that can serve by it."""

    document: TrafficDocument
    lanes: Mapping[str, Showcase]  # at least one

    def deal(self, user_ids: Sequence[str]) -> list[tuple[str, str]]:
        """Return arm and lane of each user; who belongs to a lane that is not ready goes to one that is."""
        rows = deal(self.document, user_ids).arm_rows
        ready = [arm for arm in self.document.arms if arm.lane in self.lanes]
        routes = [
            (arm.arm, arm.lane) if arm.lane in self.lanes else (ready[0].arm, ready[0].lane)
            for arm in self.document.arms
        ]
        return [routes[row] for row in np.asarray(rows).tolist()]

    @property
    def first(self) -> Showcase:
        """What the first arm that can be served is served from."""
        return next(self.lanes[arm.lane] for arm in self.document.arms if arm.lane in self.lanes)


def take_over(
    wanted: TrafficDocument,
    now: InForce | None,
    own: Mapping[str, Showcase],
    holdings: Mapping[str, Sequence[Holding]],
) -> InForce | None:
    """Return what should be in force.

    A document comes into force as a whole, once the router and every replica of its lanes hold what it wants.
    Until then (and for ever, when a bundle is refused) the one before it stays. A router that has none yet
    begins with whatever it holds itself, for its popular lists are better than nothing.

    Args:
        wanted: the latest document.
        now: what is in force.
        own: lane -> what this router holds of the bundle that ``wanted`` names for it.
        holdings: lane -> what each replica holds; a lane whose replicas do not answer is missing.
    """
    used = {arm.lane for arm in wanted.arms}
    ready = {
        lane: own[lane]
        for lane in used & own.keys() & holdings.keys()
        if all(wanted.lanes[lane] in holding.loaded for holding in holdings[lane])
    }
    if ready.keys() == used:
        complete = now is not None and now.document.version == wanted.version and now.lanes.keys() == used
        return now if complete else InForce(wanted, ready)
    usable = {lane: own[lane] for lane in used & own.keys()}
    begun = now is not None and now.document.version == wanted.version and len(usable) > len(now.lanes)
    if usable and (now is None or begun):
        return InForce(wanted, usable)
    return now


_SILENT_LOOKS = 5  # two seconds each, or a little more


class TrafficFollower:
    """Follows the traffic document in one router.

    Args:
        traffic: where the document is.
        holders: lane -> what holds the router's part of its bundle; refreshed elsewhere.
        stages: lane -> recall and ranking.
    """

    def __init__(
        self,
        traffic: TrafficStore,
        holders: Mapping[str, BundleHolder[Showcase]],
        stages: Mapping[str, LaneStages],
    ) -> None:
        self._traffic = traffic
        self._holders = holders
        self._stages = stages
        self._wanted: TrafficDocument | None = None
        self._in_force: InForce | None = None
        self._holdings: dict[str, list[Holding]] = {}
        self._heard: dict[str, tuple[int, list[Holding]]] = {}  # lane -> looks since it answered, and what

    @property
    def wanted(self) -> TrafficDocument | None:
        """The latest document; None before the first was found."""
        return self._wanted

    @property
    def in_force(self) -> InForce | None:
        """What requests are answered by; None before anything could be loaded."""
        return self._in_force

    @property
    def holdings(self) -> Mapping[str, Sequence[Holding]]:
        """What the replicas of each lane held when last asked; lanes that did not answer are missing."""
        return self._holdings

    def read(self) -> None:
        """Look whether there is a new document, and begin with it if nothing is in force yet."""
        try:
            document = self._traffic.changed_since(self._wanted.version if self._wanted else 0)
        except RecsysError as error:
            _log.warning("the router keeps its traffic document: %s", error)
        else:
            self._wanted = document or self._wanted
        self._decide()

    def heard(self, lane: str) -> Sequence[Holding]:
        """Return what the replicas of a lane held when they last said so; nothing when that was long ago.

        A lane that has more to do than it can is late with such answers; the router is ready all the same.
        """
        return self._heard.get(lane, (0, ()))[1]

    async def look(self) -> None:
        """Read, then ask the lanes that are in use what they hold, and decide."""
        self.read()
        if self._wanted is None:
            return
        holdings = {}
        for lane in {arm.lane for arm in self._wanted.arms} & self._stages.keys():
            try:
                holdings[lane] = await self._stages[lane].holdings()
            except UnavailableError as error:
                _log.info("lane %s does not say what it holds: %s", lane, error)
        self._holdings = holdings
        silent = {lane: (n + 1, held) for lane, (n, held) in self._heard.items() if n < _SILENT_LOOKS}
        self._heard = silent | {lane: (0, held) for lane, held in holdings.items()}
        self._decide()

    def refused(self) -> dict[str, dict[str, str]]:
        """Return lane -> bundle -> why it is refused, by the router or any replica."""
        found: dict[str, dict[str, str]] = {}
        for lane, holder in self._holders.items():
            for holding in (holder.holding(), *self._holdings.get(lane, ())):
                for bundle, why in holding.refused.items():
                    found.setdefault(lane, {})[bundle] = why
        return found

    def _decide(self) -> None:
        if self._wanted is None:
            return
        own = {}
        for lane, bundle in self._wanted.lanes.items():
            if (
                bundle is not None
                and lane in self._holders
                and bundle in self._holders[lane].holding().loaded
            ):
                own[lane] = self._holders[lane].get(bundle)
        before = self._in_force
        self._in_force = take_over(self._wanted, before, own, self._holdings)
        if self._in_force is not before and self._in_force is not None:
            lanes = {lane: showcase.bundle for lane, showcase in self._in_force.lanes.items()}
            _log.info("traffic document %d is in force on %s", self._in_force.document.version, lanes)
