"""An experiment on the running graph, from its start to the report, by the command line alone."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any, Protocol

import pytest
from typer.testing import CliRunner

from loadtest.live.driver import play
from loadtest.live.settings import LiveSettings, PopulationSettings
from recsys.cli.experiment import app
from recsys.eventlog.exposure_reader import scan_exposures
from recsys.simulation.world import World

pytestmark = [pytest.mark.serve, pytest.mark.slow]

_SECONDS = 20.0
_SECONDS_UNTIL_WRITTEN = 120.0
_ARMS = ("--arm", "control=0.5", "--arm", "varied=0.5:variety=0.6")


class Graph(Protocol):
    address: str


class Args(Protocol):
    traffic: Path


class Serving(Protocol):
    """What the fixture makes: a running graph."""

    graph: Graph
    args: Args


def said(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, (result.output, result.exception)
    told: dict[str, Any] = json.loads(result.output)
    return told


def n_written(home: Path, since_s: float) -> int:
    return scan_exposures(home / "exposures", since_s=since_s).collect().height


def test_users_of_both_arms_are_counted_and_nobody_changes_arm(serving: Serving, world: World) -> None:
    home = Path(serving.args.traffic).parent
    at_home = ("--home", str(home))
    begun = said("start", "variety-now", *_ARMS, "--guardrail", "skip_rate=0.1", *at_home)
    started_s = begun["experiment"]["started_s"]
    time.sleep(2.0)  # routers follow within a second
    settings = LiveSettings(
        population=PopulationSettings(rate_per_s=20.0, new_share=0.95),  # test_live.py needs the known ones
        top_n=5,
        timeout_s=60.0,
    )
    result = asyncio.run(play(world, serving.graph.address, settings, run_id="experiment", seconds=_SECONDS))
    stopped = said("stop", "variety-now", *at_home)
    assert result.failures == {}
    give_up_s = time.monotonic() + _SECONDS_UNTIL_WRITTEN
    while n_written(home, started_s) < result.n_answers:
        assert time.monotonic() < give_up_s, "exposures never came"
        time.sleep(1.0)

    report = said("report", "variety-now", *at_home, "--html", str(home / "variety.html"))
    assert sum(report["lists"].values()) == result.n_answers
    assert min(report["lists"].values()) > 0
    assert (report["crossed"], report["until_s"]) == (0, stopped["stopped_s"])
    ratio = report["result"]["sample_ratio"]
    assert ratio["trusted"]  # false alarm: 1 in 1,000
    assert sum(ratio["users"].values()) > 20
    assert {one["metric"] for one in report["result"]["comparisons"]} == {"watch_rate", "skip_rate"}
    assert report["looks"][-1]["users"] == ratio["users"]
    assert (home / "variety.html").read_text().count("<svg") >= 3
    (listed,) = said("list", *at_home)["experiments"]
    assert (listed["name"], listed["state"]) == ("variety-now", "stopped")
