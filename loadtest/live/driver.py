"""Plays a known world against a running service: lists are asked for on schedule, events come back."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from loadtest.live.ledger import Ledger
from loadtest.live.population import Population, Visit, Visitor
from loadtest.live.reactions import PAD, Reactions, found_lists, react
from loadtest.live.result import ArmResult, LiveResult
from loadtest.live.settings import LiveSettings
from loadtest.live.wire import (
    SHORT,
    Happened,
    NoAnswerError,
    Sent,
    Shown,
    ask,
    fault_of,
    happened,
    read_list,
    read_results,
    tell,
)
from loadtest.transports.exchange import Exchange, Request
from loadtest.transports.lean import LeanTransport
from loadtest.transports.target import Limits, target_of
from recsys.core.clock import Clock, monotonic_clock, unix_clock
from recsys.core.errors import FieldError
from recsys.simulation.world import World

NOT_SENT, NO_ANSWER = "not sent", "not an answer"
_REACTIONS = 1_001  # stream of chance, beside that of arrivals
_LOOK_EVERY_S = 0.5
_GRACE_S = 1.0  # beyond the time after which the transport gives up by itself


@dataclass(frozen=True, slots=True)
class Pulse:
    """How a run goes."""

    at_s: float
    n_asked: int
    n_in_flight: int
    arms: tuple[ArmResult, ...]


Look = Callable[[Pulse], None]
Met = Callable[[Visit, Shown, Reactions], None]
"""Is told of every list that came, and what became of it."""


async def play(
    world: World,
    url: str,
    settings: LiveSettings,
    *,
    run_id: str,
    seconds: float | None = None,
    stop: asyncio.Event | None = None,
    look: Look = lambda _: None,
    on_list: Met = lambda _, __, ___: None,
    clock: Clock = monotonic_clock,
    now: Clock = unix_clock,
) -> LiveResult:
    """Let the world's users ask, look, react and tell, until told to stop.

    Lists are asked for when they are due, whatever became of earlier ones. After the end, what is still under
    way is waited for.

    Args:
        world: the one whose past the service has learned from.
        url: of the service, http://host:port.
        settings: who asks, how often and how patiently.
        run_id: part of the ids of new users and events; one that no run has used before.
        seconds: how long; None: until ``stop`` is set.
        stop: ends the run early, with the result of what was.
        look: is told twice a second how it goes.
        on_list: is told of every list, as soon as it was looked at.
        clock: monotonic seconds, those of the event loop.
        now: Unix time; events carry it, for world time is a matter of tastes alone.

    Raises:
        FieldError: the address is none of plain http.
    """
    target = target_of(url)
    if target.scheme != "http":
        raise FieldError("URL", repr(url), "http://host[:port]")
    player = _Player(world, settings, run_id, on_list=on_list, clock=clock, now=now)
    limits = Limits(connections=settings.max_in_flight, timeout_s=settings.timeout_s)
    transport = LeanTransport(target, limits, done=player.done, clock=clock)
    watching = asyncio.create_task(_watch(player, look))
    try:
        await player.send_all(transport, stop or asyncio.Event(), seconds)
        await player.drain()
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        await transport.close()
    return player.result(target.url)


async def _watch(player: "_Player", look: Look) -> None:
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        look(player.pulse())


class _Player:
    def __init__(
        self, world: World, settings: LiveSettings, run_id: str, *, on_list: Met, clock: Clock, now: Clock
    ) -> None:
        self._on_list = on_list
        self._world, self._settings, self._run_id = world, settings, run_id
        self._clock, self._now = clock, now
        self._population = Population(world, settings.population, seed=settings.seed, run_id=run_id)
        seed = np.random.SeedSequence(settings.seed, spawn_key=(_REACTIONS,))
        self._rng = np.random.default_rng(seed)
        self._rows = {item_id: row for row, item_id in enumerate(world.catalogue.item_ids)}
        self._ledger = Ledger()
        self._met: dict[str, set[str]] = {}
        self._visitors: Counter[str] = Counter()
        self._transport: LeanTransport | None = None
        self._n_open = 0
        self._all_back = asyncio.Event()
        self._started_s, self._started_unix_s = clock(), now()

    async def send_all(self, transport: LeanTransport, stop: asyncio.Event, seconds: float | None) -> None:
        """Ask for lists when they are due."""
        self._transport = transport
        for visit in self._population.visits():
            over = seconds is not None and visit.due_s >= seconds
            due_s = visit.due_s if seconds is None else min(visit.due_s, seconds)
            if await self._stopped_before(self._started_s + due_s, stop) or over:
                return
            if visit.by_themselves:
                self._search(visit)
            else:
                self._ask(visit)

    async def drain(self) -> None:
        """Wait for what is under way, as long as the transport does."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.timeout_s + _GRACE_S):
                while self._n_open:
                    self._all_back.clear()
                    await self._all_back.wait()

    def done(self, exchange: Exchange) -> None:
        """Take what became of a request."""
        self._n_open -= 1
        about = exchange.request.session
        if isinstance(about, Visit):
            self._take_list(exchange, about)
        elif isinstance(about, Sent):
            self._take_results(exchange)
        if not self._n_open:
            self._all_back.set()

    def pulse(self) -> Pulse:
        return Pulse(self._at_s(), self._visitors.total(), self._n_open, self._ledger.arms())

    def result(self, url: str) -> LiveResult:
        return LiveResult(
            url=url,
            run_id=self._run_id,
            started_unix_s=self._started_unix_s,
            elapsed_s=self._at_s(),
            n_asked=self._visitors.total(),
            n_unfinished=self._n_open,
            visitors=dict(self._visitors),
            arms=self._ledger.arms(),
            events=self._ledger.events(),
            seconds=self._ledger.seconds(),
            paths=self._ledger.paths(),
        )

    def _at_s(self) -> float:
        return self._clock() - self._started_s

    async def _stopped_before(self, at_s: float, stop: asyncio.Event) -> bool:
        left_s = at_s - self._clock()
        if left_s <= 0.0:
            await asyncio.sleep(0.0)  # answers have their turn even when everything is overdue
            return stop.is_set()
        try:
            async with asyncio.timeout(left_s):
                await stop.wait()
        except TimeoutError:
            return False
        return True

    def _ask(self, visit: Visit) -> None:
        self._visitors[visit.visitor.kind.value] += 1
        if self._n_open >= self._settings.max_in_flight:
            self._ledger.failed(NOT_SENT, self._at_s())
            return
        self._send(ask(visit, self._settings.top_n), self._started_s + visit.due_s)

    def _search(self, visit: Visit) -> None:
        """Let the visitor find something without the service, which learns of it by events alone."""
        visitor, settings = visit.visitor, self._settings
        rows = np.array([visitor.user_row], dtype=np.int64)
        times_s = np.array([visit.world_time_s])
        among = settings.population.found_among
        lists = found_lists(self._world, rows, settings.top_n, times_s, self._rng, among=among)
        item_ids = [self._world.catalogue.item_ids[row] for row in lists[0].tolist() if row != PAD]
        reactions = react(self._world, rows, lists[:, : len(item_ids)], times_s, self._rng)
        self._keep(happened(item_ids, reactions), visit, None)

    def _send(self, request: Request, due_s: float) -> None:
        if self._transport is not None:
            self._n_open += 1
            self._transport.send(Exchange(request, due_s, self._clock()))

    def _take_list(self, exchange: Exchange, visit: Visit) -> None:
        at_s = exchange.finished_s - self._started_s
        failure = _failure_of(exchange)
        if failure is not None:
            self._ledger.failed(failure, at_s)
            return
        try:
            shown = read_list(exchange.body)
        except NoAnswerError:
            self._ledger.failed(NO_ANSWER, at_s)
            return
        met = self._met_by(visit.visitor)
        fault = fault_of(shown, self._settings.top_n, self._rows)
        if fault == SHORT and len(self._rows) - len(met) < self._settings.top_n:
            self._ledger.exhausted(shown.arm, at_s)
        elif fault is not None:
            self._ledger.failed(fault, at_s, shown.arm)
        self._look_at(shown, visit, at_s, met)

    def _met_by(self, visitor: Visitor) -> set[str]:
        """Return the items that somebody has met in this run, to read and to add to."""
        if visitor.user_id is None:
            return {item_id for item_id, _ in visitor.met}
        return self._met.setdefault(visitor.user_id, set())

    def _look_at(self, shown: Shown, visit: Visit, at_s: float, met: set[str]) -> None:
        """Let the visitor look at a list, even one with something wrong, and tell what happened."""
        lists = np.array([[self._rows.get(item_id, PAD) for item_id in shown.item_ids]], dtype=np.int64)
        user_rows = np.array([visit.visitor.user_row], dtype=np.int64)
        reactions = react(self._world, user_rows, lists, visit.world_time_s, self._rng)
        n_again = sum(item_id in met for item_id in shown.item_ids)
        self._ledger.answered(shown, reactions, at_s=at_s, latency_s=at_s - visit.due_s, n_met_again=n_again)
        self._on_list(visit, shown, reactions)
        unit = visit.visitor.user_id or visit.visitor.session_id
        if unit is not None:
            self._ledger.met(unit, shown.arm, asked_s=visit.due_s, at_s=at_s)
        self._keep(happened(shown.item_ids, reactions), visit, shown.request_id)

    def _keep(self, done: Sequence[Happened], visit: Visit, request_id: str | None) -> None:
        """Remember what somebody has met, and tell the service of it."""
        visitor = visit.visitor
        if visitor.user_id is None:
            visitor.met.extend((item_id, kind) for _, item_id, kind, _ in done)
            return
        self._met_by(visitor).update(item_id for _, item_id, _, _ in done)
        if done:
            self._ledger.told(len(done))
            request = tell(
                done,
                user_id=visitor.user_id,
                event_id=f"{self._run_id}-{visit.number}",
                time_s=self._now(),
                request_id=request_id,
            )
            self._send(request, self._clock())

    def _take_results(self, exchange: Exchange) -> None:
        failure = _failure_of(exchange)
        if failure is not None:
            self._ledger.events_failed(failure)
            return
        try:
            self._ledger.events_answered(read_results(exchange.body))
        except NoAnswerError:
            self._ledger.events_failed(NO_ANSWER)


def _failure_of(exchange: Exchange) -> str | None:
    """Return the name of what went wrong on the way, None when an answer of 2xx came."""
    if exchange.failure is not None:
        return exchange.failure.value
    return None if 200 <= exchange.status < 300 else f"status {exchange.status}"
