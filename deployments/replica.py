"""One router process of the graph: the service, what keeps it up to date, and its HTTP face."""

import asyncio
import logging
import os
import socket
import time
from random import Random

import numpy as np
from ray.serve._private.constants import RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD
from ray.serve.handle import DeploymentHandle
from starlette.types import ASGIApp

from deployments.admission import Rooms, rooms_of
from deployments.audience import audience
from deployments.autoscaling.demand import router_report
from deployments.bundles import holder_for
from deployments.cache import AnswerCache
from deployments.client_rates import ClientRates
from deployments.door import open_door
from deployments.drain import DrainRate
from deployments.exposures import open_exposures
from deployments.front_door import put_before_uvicorn
from deployments.garbage import collect_seldom
from deployments.gate import Gate
from deployments.handles import ServeHandle
from deployments.ingress import make_app
from deployments.intake import Intake
from deployments.lane import Following, Overlaying
from deployments.lists import ranked_lists
from deployments.logs import log_with_serve
from deployments.metrics_files import stay_alive
from deployments.overlaid import Effects, follow_catalogue, show_catalogue, showcase_by
from deployments.question import Question
from deployments.ranking import RankingReplica
from deployments.recall import RecallReplica
from deployments.router import Router
from deployments.service import Service
from deployments.settings import GraphArgs
from deployments.showcase import Showcase
from deployments.traffic import TrafficFollower
from deployments.traffic_stores import open_traffic_store
from deployments.whole_answers import write_answers_whole
from deployments.wire.stage import Stage
from deployments.wire.stages import WiredStages
from recsys.core.clock import machine_clock, monotonic_clock, unix_clock
from recsys.features.users import NO_ITEM
from recsys.recall.candidates import NOT_NAMED, Candidates
from recsys.recall.sources import SOURCE_NAMES
from recsys.registry.bundle import BundleReader
from recsys.state.open import open_user_state
from recsys.state.store import EMPTY
from recsys.streams.open import open_event_log

_log = logging.getLogger(__name__)
_STATE_WRITE_S = 5.0


class RouterReplica:
    """Router and ingress in one process: a hop less for every request (docs/decisions/serving-graph.md)."""

    def __init__(
        self,
        args: GraphArgs,
        recall: dict[str, DeploymentHandle[RecallReplica]],
        ranking: dict[str, DeploymentHandle[RankingReplica]],
    ) -> None:
        log_with_serve()
        write_answers_whole()
        writer_id = f"{socket.gethostname()[:40]}-{os.getpid()}"
        drain = DrainRate(monotonic_clock)
        store = open_traffic_store(args.traffic)
        catalogue = follow_catalogue(args)
        overlaying = None if catalogue is None else Overlaying(lambda: catalogue.in_force, showcase_by)
        holders = {lane: holder_for(args, store, lane, _loaded, overlaying) for lane in args.lanes}
        stages = {lane: _stages(recall[lane], ranking[lane]) for lane in args.lanes}
        door = open_door(args.privacy, args.event_log)
        traffic = TrafficFollower(store, holders, stages, door)
        state = open_user_state(args.state_url)
        router = Router(
            lambda: traffic.in_force,
            stages,
            state,
            batch=args.batch,
            deadlines=args.deadlines,
            breaker=args.breaker,
            clock=monotonic_clock,
            cache=AnswerCache(args.cache, monotonic_clock),
            exposures=open_exposures(args.exposures, writer_id),
            overload=args.overload,
            drain=drain,
        )
        rooms = rooms_of(
            args.overload, drain, n_free=args.batch.max_size, on_refusal=router.demand.turned_away
        )
        self._gate = gate_of(args, rooms)
        self._log_writer = open_event_log(args.event_log, writer_id)
        intake = Intake(self._log_writer, state, deadline_s=_STATE_WRITE_S)
        self._service = Service(
            router, intake, traffic, args.limits, unix_clock, monotonic_clock, rooms, door
        )
        self._catalogue, self._effects = catalogue, Effects()
        self._following = Following(
            holders.values(), args.poll_s, first=(lambda: None) if catalogue is None else catalogue.refresh
        )
        traffic.read()
        collect_seldom()
        self._alive = None if args.metrics is None else stay_alive(args.metrics)
        turns = (self._follow, self._look, self._keep_up, self._show)
        self._upkeep = [asyncio.create_task(turn(args.poll_s)) for turn in turns]

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Return what answers HTTP; Ray Serve calls this once, after the constructor."""
        app = make_app(self._service)
        # What is ours belongs to this loop; Serve's HTTP server shares it in throughput-optimised mode only.
        put_before_uvicorn(self._gate, None if RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD else app)
        return app.behind_one_that_adds_ids()

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Say what was asked here so far. Serve asks on the event loop: it is that thread's time."""
        router, traffic = self._service.router, self._service.traffic
        documents = [traffic.in_force.document] if traffic.in_force is not None else []
        documents += [traffic.wanted] if traffic.wanted is not None else []
        return router_report(
            router.demand, busy_s=time.thread_time(), waiting=router.n_waiting, documents=documents
        )

    def __del__(self) -> None:
        """Write down what was answered last; Ray Serve calls this when it stops a replica in good order."""
        if hasattr(self, "_service"):  # not when the constructor failed
            self._service.router.close()

    async def _follow(self, poll_s: float) -> None:
        """Look at the document; by itself, for a lane that is down is slow to say what it holds."""
        while True:
            self._service.traffic.read()
            await asyncio.sleep(poll_s)

    async def _look(self, poll_s: float) -> None:
        while True:
            traffic = self._service.traffic
            await traffic.look()
            if self._catalogue is not None:
                self._effects.look(self._catalogue.in_force, traffic.serving())
            await asyncio.sleep(poll_s)

    async def _keep_up(self, poll_s: float) -> None:
        while True:
            await self._service.intake.catch_up()
            self._service.router.cache.expire()
            await asyncio.sleep(poll_s)

    async def _show(self, poll_s: float) -> None:
        """Keep the gauges up to date; by itself, for a user state that is down is waited for."""
        while True:
            self._service.show()
            if self._catalogue is not None:
                show_catalogue(self._catalogue)
            await asyncio.sleep(poll_s)


def gate_of(args: GraphArgs, rooms: Rooms) -> Gate:
    """Return the gate that a router's settings ask for."""
    rates = None if args.rate_limits is None else ClientRates(args.rate_limits, monotonic_clock)
    return Gate(rooms, rates, args.overload, clock=monotonic_clock, unix_clock=machine_clock, chance=Random())


def _stages(
    recall: DeploymentHandle[RecallReplica], ranking: DeploymentHandle[RankingReplica]
) -> WiredStages:
    return WiredStages(
        Stage("recall", ServeHandle("recall", recall), monotonic_clock),
        Stage("ranking", ServeHandle("ranking", ranking), monotonic_clock),
    )


def _loaded(reader: BundleReader) -> Showcase:
    """Return the router's part of a bundle, ready to answer the first request as quickly as the next."""
    showcase = Showcase.load(reader)
    question = Question(request_id="warm-up", now_s=0.0)
    users = audience([question], [EMPTY], showcase)
    nothing = Candidates(
        np.full((1, 1), NO_ITEM, dtype=np.int32), np.full((1, 1, len(SOURCE_NAMES)), NOT_NAMED)
    )
    ranked_lists(showcase, [question], users, nothing, np.zeros((1, 1), dtype=np.float32))
    return showcase
