"""Steady requests on one side, a swap now and then on the other."""

import asyncio
import json
import urllib.request
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from loadtest.engine.driver import Driver
from loadtest.engine.event_loops import run_loop
from loadtest.measure.tally import Cell, Tally
from loadtest.swap.windows import Ended, Swap
from loadtest.traffic.source import Traffic
from loadtest.transports.exchange import Exchange
from loadtest.transports.kinds import transport_named
from loadtest.transports.target import Limits, target_of
from recsys.core.clock import Clock
from recsys.core.errors import UnavailableError
from recsys.rollout.traffic_file import FileTrafficStore

_LOOK_S = 0.05
_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked, and how often."""

    url: str
    traffic: Traffic
    rate_per_s: float


@dataclass(frozen=True, slots=True)
class Swaps:
    """Which bundles take turns, and when."""

    document: Path  # file of the traffic document
    bundles: tuple[str, ...]  # by turns, the one in force first
    turns: int
    window_s: float


def drive_swaps(load: Load, swaps: Swaps, clock: Clock) -> tuple[list[Ended], list[Swap], Cell]:
    """Ask at a steady rate and swap the bundle every two windows.

    Returns:
        Every request answered, every swap, and what became of all requests.

    Raises:
        UnavailableError: a swap did not come into force within a minute.
    """
    return run_loop(_drive(load, swaps, clock))


async def _drive(load: Load, swaps: Swaps, clock: Clock) -> tuple[list[Ended], list[Swap], Cell]:
    ended: list[Ended] = []

    def note(exchange: Exchange) -> None:
        ended.append(Ended(exchange.due_s, exchange.finished_s - exchange.due_s))

    tally = Tally()
    driver = Driver(
        target_of(load.url),
        Limits(),
        transport_named("lean"),
        load.traffic,
        tally,
        clock=clock,
        observers=(note,),
    )
    asking = asyncio.create_task(_ask(driver, load.rate_per_s))
    done = []
    await asyncio.sleep(swaps.window_s)  # first requests are slow for reasons of their own
    for turn in range(swaps.turns):
        await asyncio.sleep(swaps.window_s)
        done.append(
            await _swap(load.url, swaps.document, swaps.bundles[(turn + 1) % len(swaps.bundles)], clock)
        )
        await asyncio.sleep(max(0.0, done[-1].began_s + swaps.window_s - clock()))
    asking.cancel()
    await driver.drain(_TIMEOUT_S)
    return ended, done, tally.total()


async def _ask(driver: Driver, rate_per_s: float) -> None:
    """Send on schedule, whatever the answers do: latency counts from when a request was due."""
    for number in count():
        due_s = driver.started_s + number / rate_per_s
        await asyncio.sleep(max(0.0, due_s - driver.clock()))
        driver.dispatch(due_s)


async def _swap(url: str, document: Path, bundle: str, clock: Clock) -> Swap:
    store = FileTrafficStore(document)
    now = store.read()
    lanes = {**now.lanes, now.arms[0].lane: bundle}
    began_s = clock()
    store.swap(
        now.successor(updated_s=now.updated_s, updated_by="marquee swaps", lanes=lanes),
        expected_version=now.version,
    )
    while await asyncio.to_thread(_in_force, url) != bundle:
        if clock() - began_s > _TIMEOUT_S:
            raise UnavailableError(f"bundle {bundle}", f"not in force after {_TIMEOUT_S:g} s")
        await asyncio.sleep(_LOOK_S)
    return Swap(began_s, clock())


def _in_force(url: str) -> str:
    with urllib.request.urlopen(f"{url}/traffic", timeout=_TIMEOUT_S) as answer:
        found = json.load(answer)
    lane = found["in_force"]["arms"][0]["lane"]
    return str(found["lanes"][lane])
