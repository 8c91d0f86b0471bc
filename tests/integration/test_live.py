"""The closed loop: users of the simulated world use the running graph that has learned from their past."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from scipy.stats import binom

from loadtest.live.background import playing
from loadtest.live.driver import play
from loadtest.live.result import LiveResult
from loadtest.live.scale import watch_scale
from loadtest.live.settings import LiveSettings, PopulationSettings
from recsys.rollout.traffic import Arm
from recsys.rollout.traffic_file import FileTrafficStore
from recsys.simulation.world import World

pytestmark = [pytest.mark.serve, pytest.mark.slow]

_SECONDS, _RATE_PER_S = 40.0, 40.0  # 7,000 items shown: lists worth .04 more than blind fail once in 1,000
_TOP_N = 5
_ALPHA = 1e-4  # false alarms of the comparison with blind lists
_SECONDS_UNTIL_FOLLOWED = 60.0


class Graph(Protocol):
    address: str


class Args(Protocol):
    traffic: str


class Serving(Protocol):
    """What the fixture makes: a running graph."""

    graph: Graph
    args: Args
    train: Callable[[int], str]


def settings(**people: float) -> LiveSettings:
    """Return who comes: mostly new users, for whoever has met all 60 videos gets short lists."""
    population = PopulationSettings(**{"rate_per_s": 20.0, "new_share": 0.6, **people})
    return LiveSettings(population=population, top_n=_TOP_N, timeout_s=60.0)


def test_people_watch_more_than_of_blind_lists_and_nothing_fails(serving: Serving, world: World) -> None:
    people = settings(rate_per_s=_RATE_PER_S)
    result = asyncio.run(play(world, serving.graph.address, people, run_id="live", seconds=_SECONDS))
    assert result.failures == {}
    assert result.n_answers == result.n_asked > 100
    assert result.events.statuses == {"accepted": result.events.n_sent}
    assert set(result.visitors) == {"known", "new", "anonymous"}
    assert result.moves == ()
    (arm,) = result.arms
    blind = watch_scale(world, _TOP_N, world.scenario.ends_s).blind
    assert arm.n_watched > binom.isf(_ALPHA, arm.n_shown, blind), (arm.watch_rate, blind)


def test_users_move_to_a_canary_and_back_and_never_otherwise(serving: Serving, world: World) -> None:
    traffic = FileTrafficStore(Path(serving.args.traffic))
    before = traffic.read()
    second = serving.train(6)
    stable = before.arms[0]
    canary = Arm(arm="canary", lane="green", share=0.5)

    def change(lanes: dict[str, str | None], *arms: Arm) -> None:
        now = traffic.read()
        changed = now.successor(updated_s=0.0, updated_by="test", lanes={**before.lanes, **lanes}, arms=arms)
        traffic.swap(changed, expected_version=now.version)
        followed(serving, changed.version)

    async def until_stopped(stop: asyncio.Event) -> LiveResult:
        people = settings(
            new_share=1.0, anonymous_share=0.0, lists_per_session=60.0, between_s=7_200.0
        )  # 50 who stay
        return await play(world, serving.graph.address, people, run_id="canary", stop=stop)

    with playing(until_stopped) as background:
        try:
            time.sleep(5.0)
            change({"green": second}, stable.model_copy(update={"share": 0.5}), canary)
            time.sleep(5.0)
        finally:
            change({"green": None}, stable)
        time.sleep(5.0)
        result = background.finish()
    assert result.failures == {}
    ways = {tuple(step.arm for step in steps) for steps in result.paths.values()}
    assert ways <= {("stable",), ("stable", "canary"), ("stable", "canary", "stable"), ("canary",),
                    ("canary", "stable")}  # fmt: skip
    assert ("stable", "canary", "stable") in ways
    moved = result.arm("canary")
    assert moved is not None
    assert moved.bundles == (second,)


def followed(serving: Serving, version: int) -> None:
    """Wait until the graph serves by that version of the traffic document."""
    give_up_s = time.monotonic() + _SECONDS_UNTIL_FOLLOWED
    while True:
        found: dict[str, Any] = httpx.get(f"{serving.graph.address}/traffic").json()
        if found["in_force"]["version"] >= version:
            return
        assert time.monotonic() < give_up_s, found
        time.sleep(0.2)
