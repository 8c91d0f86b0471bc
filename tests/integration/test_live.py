"""The closed loop: users of the simulated world use the running graph that has learned from their past."""

import asyncio
from pathlib import Path
from typing import Protocol

import pytest
from scipy.stats import binom

from loadtest.live.driver import play
from loadtest.live.scale import watch_scale
from loadtest.live.settings import LiveSettings, PopulationSettings
from recsys.simulation.reader import world_of

pytestmark = [pytest.mark.serve, pytest.mark.slow]

_SECONDS = 15.0
_TOP_N = 5
_ALPHA = 1e-4  # false alarms of the comparison with blind lists


class Graph(Protocol):
    address: str


class Serving(Protocol):
    """What the fixture makes: a running graph."""

    graph: Graph


def test_people_watch_more_than_of_blind_lists_and_nothing_fails(
    serving: Serving, simulated_folder: Path
) -> None:
    world = world_of(simulated_folder)
    settings = LiveSettings(
        population=PopulationSettings(rate_per_s=20.0, new_share=0.2), top_n=_TOP_N, timeout_s=60.0
    )
    result = asyncio.run(play(world, serving.graph.address, settings, run_id="live", seconds=_SECONDS))
    assert result.failures == {}
    print(arm_words := result.arms, watch_scale(world, _TOP_N, world.scenario.ends_s))
    assert result.n_answers == result.n_asked > 100
    assert result.events.statuses == {"accepted": result.events.n_sent}
    assert set(result.visitors) == {"known", "new", "anonymous"}
    (arm,) = result.arms
    assert result.moves == ()
    blind = watch_scale(world, _TOP_N, world.scenario.ends_s).blind
    assert arm.n_watched > binom.isf(_ALPHA, arm.n_shown, blind), (arm.watch_rate, blind)
