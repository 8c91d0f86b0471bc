"""A router replica on fakes: twelve items, stages that obey, fail or dawdle, a state in memory."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Self, TypeVar

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from deployments.cache import AnswerCache
from deployments.cursor import item_hashes, pack
from deployments.door import OPEN_DOOR, Door
from deployments.exposures import Exposures
from deployments.intake import Intake
from deployments.lane import BundleHolder, Holding
from deployments.overload_settings import OverloadSettings
from deployments.router import Router
from deployments.service import Service
from deployments.settings import BatchSettings, BreakerSettings, Deadlines, Limits
from deployments.showcase import Showcase
from deployments.stages import Started
from deployments.traffic import TrafficFollower
from recsys.core.clock import monotonic_clock
from recsys.core.errors import NotFoundError, UnavailableError
from recsys.data.events import Event
from recsys.eventlog.entry import Entry
from recsys.features.items import fit_items
from recsys.features.users import NO_ITEM, UserBatch
from recsys.pipeline.catalogue import Catalogue
from recsys.pipeline.filters import Filters
from recsys.pipeline.stages import RerankingStage
from recsys.recall.candidates import NOT_NAMED, Candidates
from recsys.recall.sources import SOURCE_NAMES
from recsys.registry.bundle import BundleReader
from recsys.reranking.rerank import RerankingConfig
from recsys.rollout.traffic import Arm, TrafficDocument, first_document
from recsys.state.sqlite import SqliteUserState
from recsys.state.store import Applied, UserState

Mood = Literal["well", "down", "late"]

N_ITEMS = 12
N_CANDIDATES = 8
NOW_S = 1_000_000.0
BUNDLE, CANARY_BUNDLE = "b" * 16, "c" * 16
POPULAR = (3, 1, 4, 0, 2, 5, 6, 7, 8, 9, 10)  # item 11 is not available
DEADLINE_S = 0.05


@pytest.fixture(scope="session")
def showcase(catalogue_of: Callable[..., pl.DataFrame]) -> Showcase:
    """Return items i0 to i11: even and odd ones; i11 is not available; i3, i1, i4 are popular."""
    frame = catalogue_of(
        N_ITEMS,
        title=[f"Film {row}" for row in range(N_ITEMS)],
        tags=[["even" if row % 2 == 0 else "odd"] for row in range(N_ITEMS)],
        available=[row != 11 for row in range(N_ITEMS)],
    )
    hashes = item_hashes(frame["item_id"].to_list())
    order = np.argsort(hashes, kind="stable")
    return Showcase(
        BUNDLE,
        Catalogue(frame, np.array(POPULAR, dtype=np.int32), ("home",)),
        RerankingStage(fit_items(frame), RerankingConfig()),
        N_CANDIDATES,
        (1,) * len(SOURCE_NAMES),
        pack(hashes),
        hashes[order],
        order,
    )


@dataclass
class FakeStages:
    """Recall names the highest rows first, ranking likes low rows best; so it shows who answered."""

    showcase: Showcase
    recall: Mood = "well"
    ranking: Mood = "well"
    holds: tuple[str, ...] = (BUNDLE,)
    batches: list[int] = field(default_factory=list)
    asked_bundles: list[str] = field(default_factory=list)
    upside_down: bool = False  # ranking likes high rows best
    hurdle: asyncio.Event | None = None  # nothing comes of a call before it is set

    def start(
        self,
        bundle: str,
        users: UserBatch,
        n: int,
        filters: Sequence[Filters | None] | None,
        *,
        rank: bool = True,
    ) -> Started:
        self.batches.append(len(users))
        self.asked_bundles.append(bundle)
        named = self._named(users, n, filters)
        found = asyncio.ensure_future(_in_mood(self.recall, "recall", named, self.hurdle))
        if not rank:
            return Started(found, None)
        liked = named.item_rows.astype(np.float32) * (1.0 if self.upside_down else -1.0)
        scores = np.where(named.item_rows == NO_ITEM, -np.inf, liked)
        return Started(found, asyncio.ensure_future(_in_mood(self.ranking, "ranking", scores)))

    async def holdings(self) -> list[Holding]:
        if self.recall == "down":
            raise UnavailableError("lane", "no replica")
        return [Holding("", None, self.holds, {}, 1)]

    def _named(self, users: UserBatch, n: int, filters: Sequence[Filters | None] | None) -> Candidates:
        blocked = users.blocked(N_ITEMS) | ~self.showcase.catalogue.available
        for user, wanted in enumerate(filters or ()):
            if wanted is not None:
                blocked[user] |= ~self.showcase.catalogue.allowed(wanted)
        rows = np.full((len(users), n), NO_ITEM, dtype=np.int32)
        for user in range(len(users)):
            free = np.flatnonzero(~blocked[user])[::-1][:n]
            rows[user, : len(free)] = free
        ranks = np.full((*rows.shape, len(SOURCE_NAMES)), NOT_NAMED, dtype=np.int16)
        ranks[:, :, 0] = 0
        return Candidates(rows, ranks)


Result = TypeVar("Result")


async def _in_mood(mood: Mood, stage: str, result: Result, hurdle: asyncio.Event | None = None) -> Result:
    if hurdle is not None:
        await hurdle.wait()
    if mood == "down":
        raise UnavailableError(stage, "ActorDiedError")
    if mood == "late":
        await asyncio.sleep(20 * DEADLINE_S)
    return result


@dataclass
class FakeState:
    """A real state that can be told to be down."""

    inner: SqliteUserState
    mood: Mood = "well"

    @property
    def is_local(self) -> bool:
        return self.inner.is_local

    def read(self, user_ids: Sequence[str]) -> list[UserState]:
        self._check()
        return self.inner.read(user_ids)

    def apply(self, events: Sequence[Event]) -> list[Applied]:
        self._check()
        return self.inner.apply(events)

    def erase(self, user_id: str, at_s: float) -> None:
        self._check()
        self.inner.erase(user_id, at_s)

    def named(self, user_ids: Sequence[str]) -> int:
        self._check()
        return self.inner.named(user_ids)

    def close(self) -> None:
        self.inner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _check(self) -> None:
        if self.mood == "down":
            raise UnavailableError("user state", "not there")


@dataclass
class FakeLog:
    """A log in memory that can be told to be down."""

    entries: list[Entry] = field(default_factory=list)
    mood: Mood = "well"

    async def append_soon(self, entries: Sequence[Entry]) -> None:
        if self.mood == "down":
            raise UnavailableError("event log", "the disk is full")
        self.entries.extend(entries)


class FakeTraffic:
    """A traffic document in memory."""

    def __init__(self, document: TrafficDocument | None) -> None:
        self.document = document

    def read(self) -> TrafficDocument:
        if self.document is None:
            raise NotFoundError("traffic document", "memory")
        return self.document

    def changed_since(self, version: int) -> TrafficDocument | None:
        document = self.read()
        return document if document.version > version else None

    def swap(self, new: TrafficDocument, *, expected_version: int) -> None:
        raise NotImplementedError

    def history(self) -> list[TrafficDocument]:
        raise NotImplementedError


@dataclass
class Replica:
    """A service and the fakes beneath it; ``canary`` are the stages of the other lane, which is idle."""

    service: Service
    stages: FakeStages
    state: FakeState
    log: FakeLog
    traffic: FakeTraffic
    canary: FakeStages
    holders: Sequence[BundleHolder[Showcase]]


@pytest.fixture
def replica_of(showcase: Showcase, tmp_path: Path) -> Iterator[Callable[..., Replica]]:
    """Make a router replica whose parts are in the moods given."""
    made: list[Replica] = []

    def make(
        *,
        recall: Mood = "well",
        ranking: Mood = "well",
        state: Mood = "well",
        log: Mood = "well",
        loaded: bool = True,
        batch: BatchSettings | None = None,
        limits: Limits | None = None,
        database: str = "state.db",
        cache: AnswerCache | None = None,
        exposures: Exposures | None = None,
        overload: OverloadSettings | None = None,
        deadline_s: float = DEADLINE_S,
        door: Door = OPEN_DOOR,
    ) -> Replica:
        stages = FakeStages(showcase, recall, ranking)
        canary = FakeStages(showcase, holds=(CANARY_BUNDLE,))
        lanes = {"blue": stages, "green": canary}
        store = FakeState(SqliteUserState(tmp_path / database), state)
        fake_log = FakeLog(mood=log)
        traffic = FakeTraffic(first_document(BUNDLE, salt="s", updated_s=0.0))

        def opened(bundle: str) -> BundleReader:
            if not loaded:
                raise NotFoundError("bundle", bundle)
            return _reader(bundle)

        holders: dict[str, BundleHolder[Showcase]] = {
            lane: BundleHolder(
                lane,
                lambda reader: replace(showcase, bundle=reader.name),
                open_bundle=opened,
                traffic=traffic,
                clock=monotonic_clock,
                retry_refused_s=1.0,
            )
            for lane in lanes
        }
        follower = TrafficFollower(traffic, holders, lanes, door)
        for holder in holders.values():
            holder.refresh()
        follower.read()
        router = Router(
            lambda: follower.in_force,
            lanes,
            store,
            batch=batch or BatchSettings(),
            deadlines=Deadlines(state_s=1.0, recall_s=deadline_s, ranking_s=deadline_s),
            breaker=BreakerSettings(failures=3, rest_s=60.0),
            clock=monotonic_clock,
            cache=cache,
            exposures=exposures,
            overload=overload or OverloadSettings(),
        )
        service = Service(
            router,
            Intake(fake_log, store, deadline_s=5.0),
            follower,
            limits or Limits(),
            lambda: NOW_S,
            monotonic_clock,
            door=door,
        )
        made.append(Replica(service, stages, store, fake_log, traffic, canary, list(holders.values())))
        return made[-1]

    yield make
    for replica in made:
        replica.service.router.close()
        replica.service.intake.close()
        replica.state.close()


def _reader(bundle: str) -> BundleReader:
    class NoReader:
        """Nothing is read from it but its name: the fake loader has its showcase already."""

        name = bundle

        def array(self, name: str) -> NDArray[np.float32]:
            raise NotImplementedError(name)

        def json(self, name: str) -> object:
            raise NotImplementedError(name)

        def path(self, name: str) -> Path:
            raise NotImplementedError(name)

    return NoReader()


@pytest.fixture
def ramp() -> Callable[..., None]:
    """Bring a document into force that sends a share of the users to the canary; further fields as given."""

    def bring(replica: Replica, share: float, **changes: object) -> None:
        traffic = replica.traffic
        assert traffic.document is not None
        traffic.document = traffic.document.successor(
            updated_s=1.0,
            updated_by="test",
            lanes={"blue": BUNDLE, "green": CANARY_BUNDLE},
            arms=(
                Arm(arm="stable", lane="blue", share=1 - share),
                Arm(arm="canary", lane="green", share=share),
            ),
            **changes,
        )
        for holder in replica.holders:
            holder.refresh()
        asyncio.run(replica.service.traffic.look())

    return bring
