"""Which traffic document is in force in a router: a new one is taken over when its lanes are ready for it."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

from deployments.door import OPEN_DOOR, Door
from deployments.lane import BundleHolder, Holding
from deployments.metrics import TRAFFIC_REFUSED
from deployments.question import Question
from deployments.showcase import Showcase
from deployments.stages import LaneStages
from recsys.core.errors import RecsysError, UnavailableError
from recsys.experiments.assignment import bucket
from recsys.experiments.interleaving import INTERLEAVED
from recsys.rollout.dealing import Dealer
from recsys.rollout.names import CANARY
from recsys.rollout.traffic import Arm, Interleaving, Shadow, TrafficDocument
from recsys.rollout.traffic_store import TrafficStore

_log = logging.getLogger(__name__)


class Route(NamedTuple):
    """Where a question goes."""

    arm: str
    lane: str
    showcase: Showcase
    override: bool = False  # not by chance alone: not for statistics
    experiments: Mapping[str, str] = MappingProxyType({})  # name -> arm, where chance decided


class Routed(NamedTuple):
    """A question, as the experiments that it takes part in want it answered, and where it goes."""

    question: Question
    route: Route


@dataclass(frozen=True)
class InForce:
    """A document, and the lanes that can serve by it."""

    document: TrafficDocument
    lanes: Mapping[str, Showcase]  # at least one

    @cached_property
    def dealer(self) -> Dealer:
        """Who gets which arm."""
        return Dealer(self.document)

    def route(self, question: Question) -> Routed:
        """Return where a question goes; who belongs to a lane that is not ready goes to one that is.

        Raises:
            FieldError: it asks for an arm that is not there.
        """
        if question.wishes:
            self.dealer.check(question.wishes)
        place = self.dealer.deal(question.unit, question.user_id, question.wishes)
        arm, override = place.arm, place.override
        if arm.lane not in self.lanes:
            arm, override = next(one for one in self.document.arms if one.lane in self.lanes), True
        if place.knobs:
            question = _turned(question, place.knobs)
        name = arm.arm if override or not self._takes_turns(arm, question.unit) else INTERLEAVED
        return Routed(question, Route(name, arm.lane, self.lanes[arm.lane], override, place.experiments))

    @cached_property
    def interleaving(self) -> Interleaving | None:
        """The lane that takes turns, when it is ready to and nobody has killed its arm."""
        found = self.document.interleaving
        ready = found is not None and found.lane in self.lanes and CANARY not in self.document.killed
        return found if ready else None

    @property
    def shadow(self) -> Shadow | None:
        """The lane that works unseen, when it is ready to."""
        shadow = self.document.shadow
        return shadow if shadow is not None and shadow.lane in self.lanes else None

    def _takes_turns(self, arm: Arm, unit: str) -> bool:
        found = self.interleaving
        if found is None or arm is not self.document.arms[0]:
            return False
        return bucket(unit, INTERLEAVED, salt=self.document.salt) < found.share

    @property
    def first(self) -> Showcase:
        """What the first arm that can be served is served from."""
        return next(self.lanes[arm.lane] for arm in self.document.arms if arm.lane in self.lanes)


def _turned(question: Question, knobs: Mapping[str, float]) -> Question:
    """Return a question as the arms of experiments want it; what it says itself comes before that."""
    variety = knobs.get("variety") if question.variety is None else question.variety
    return replace(question, variety=variety, explore=knobs.get("explore"))


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
    used = {arm.lane for arm in wanted.arms if arm.arm not in wanted.killed}
    named = used | {beside.lane for beside in (wanted.shadow, wanted.interleaving) if beside is not None}
    before = {} if now is None else now.lanes
    ready = {
        lane: own[lane]
        for lane in named & own.keys()
        if _all_hold(holdings.get(lane, ()), wanted.lanes[lane])
        or (lane in before and before[lane].bundle == wanted.lanes[lane])  # it served by it a moment ago
    }
    same = now is not None and now.document.version == wanted.version
    if used <= ready.keys():
        return now if same and _are_same(before, ready) else InForce(wanted, ready)
    usable = {lane: own[lane] for lane in used & own.keys()}
    if usable and (now is None or (same and len(usable) > len(before))):
        return InForce(wanted, usable)
    return now


def _are_same(before: Mapping[str, Showcase], ready: Mapping[str, Showcase]) -> bool:
    """Tell whether nothing has changed, the catalogue neither."""
    return before.keys() == ready.keys() and all(before[lane] is found for lane, found in ready.items())


def _all_hold(holdings: Sequence[Holding], bundle: str | None) -> bool:
    return bool(holdings) and all(bundle in holding.loaded for holding in holdings)


_SILENT_LOOKS = 5  # two seconds each, or a little more


class TrafficFollower:
    """Follows the traffic document in one router.

    Args:
        traffic: where the document is.
        holders: lane -> what holds the router's part of its bundle; refreshed elsewhere.
        stages: lane -> recall and ranking.
        door: knows what the users of the allow-list are called inside.
    """

    def __init__(
        self,
        traffic: TrafficStore,
        holders: Mapping[str, BundleHolder[Showcase]],
        stages: Mapping[str, LaneStages],
        door: Door = OPEN_DOOR,
    ) -> None:
        self._traffic = traffic
        self._holders = holders
        self._stages = stages
        self._door = door
        self._wanted: TrafficDocument | None = None
        self._trouble: str | None = None
        self._in_force: InForce | None = None
        self._holdings: dict[str, list[Holding]] = {}
        self._heard: dict[str, tuple[int, list[Holding]]] = {}  # lane -> looks since it answered, and what

    @property
    def wanted(self) -> TrafficDocument | None:
        """The latest document; None before the first was found."""
        return self._wanted

    @property
    def trouble(self) -> str | None:
        """Why the document that is there now cannot be used; None when it can."""
        return self._trouble

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
            TRAFFIC_REFUSED.inc()
            if self._trouble is None:
                _log.warning("the router keeps its traffic document: %s", error)
            self._trouble = str(error)
        else:
            self._trouble = None
            self._wanted = self._wanted if document is None else self._door.document(document)
        self._decide()

    def serving(self) -> list[Holding]:
        """Return what this router and the replicas of the lanes in force hold, as far as they say."""
        lanes = () if self._in_force is None else self._in_force.lanes
        found = [self._holders[lane].holding() for lane in lanes]
        return found + [holding for lane in lanes for holding in self._holdings.get(lane, ())]

    def heard(self, lane: str) -> Sequence[Holding]:
        """Return what the replicas of a lane held when they last said so; nothing when that was long ago.

        A lane that has more to do than it can is late with such answers; the router is ready all the same.
        """
        return self._heard.get(lane, (0, ()))[1]

    async def look(self) -> None:
        """Read, then ask the lanes that have a bundle what they hold, and decide."""
        self.read()
        if self._wanted is None:
            return
        lanes = [lane for lane, bundle in self._wanted.lanes.items() if bundle and lane in self._stages]
        said = await asyncio.gather(*(self._asked(lane) for lane in lanes))
        holdings = {lane: held for lane, held in zip(lanes, said, strict=True) if held is not None}
        self._holdings = holdings
        silent = {lane: (n + 1, held) for lane, (n, held) in self._heard.items() if n < _SILENT_LOOKS}
        self._heard = silent | {lane: (0, held) for lane, held in holdings.items()}
        self._decide()

    async def _asked(self, lane: str) -> list[Holding] | None:
        try:
            return await self._stages[lane].holdings()
        except UnavailableError as error:
            _log.info("lane %s does not say what it holds: %s", lane, error)
            return None

    def ready(self) -> dict[str, str]:
        """Return lane -> the bundle wanted for it, of lanes where this router and every replica hold it."""
        if self._wanted is None:
            return {}
        return {
            lane: bundle
            for lane, bundle in self._wanted.lanes.items()
            if bundle is not None and lane in self._own() and _all_hold(self._holdings.get(lane, ()), bundle)
        }

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
        before = self._in_force
        self._in_force = take_over(self._wanted, before, self._own(), self._holdings)
        if self._in_force is not before and self._in_force is not None:
            lanes = {lane: showcase.bundle for lane, showcase in self._in_force.lanes.items()}
            _log.info("traffic document %d is in force on %s", self._in_force.document.version, lanes)

    def _own(self) -> dict[str, Showcase]:
        """Return lane -> what this router holds of the bundle that is wanted for it."""
        lanes = self._wanted.lanes if self._wanted is not None else {}
        return {
            lane: self._holders[lane].get(bundle)
            for lane, bundle in lanes.items()
            if bundle is not None and lane in self._holders and bundle in self._holders[lane].holding().loaded
        }
