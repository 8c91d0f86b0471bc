"""Autoscaling of the real graph: fractions of cores, short times; load comes, and goes again."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import orjson
import pytest

from deployments.autoscaling.settings import AutoscalingSettings, Bounds
from deployments.cli.serve import begin_traffic, graph_args
from deployments.launcher import RunningGraph, running_graph
from deployments.settings import CacheSettings, Replicas
from loadtest.engine.result import Result
from loadtest.engine.run import drive_closed, post
from recsys.core.ports import free_ports
from recsys.rollout.traffic import Arm
from recsys.rollout.traffic_file import FileTrafficStore

pytestmark = [pytest.mark.serve, pytest.mark.slow]

_MARK = b"ray::ServeReplica:marquee:"
_SECONDS_TO_CHANGE = 60.0
_SCALING = AutoscalingSettings(
    router=Bounds(least=1, most=1),
    recall=Bounds(least=1, most=2),
    ranking=Bounds(least=1, most=2),
    utilisation=0.02,  # a busy machine leaves the test a small part of a core: that is load enough
    hold_s=8.0,
    window_s=3.0,
    decide_every_s=0.5,
)


@pytest.fixture(scope="module")
def graph(
    trainer: Callable[[Path], Callable[[int], str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningGraph, Path]]:
    home = tmp_path_factory.mktemp("autoscaling")
    trainer(home / "registry")
    fraction = Replicas(replicas=1, cpus=0.1)
    args = graph_args(home).model_copy(
        update={
            "router": fraction,
            "recall": fraction,
            "ranking": fraction,
            "autoscaling": _SCALING,
            "cache": CacheSettings(enabled=False),  # the same few users ask: it would leave the stages idle
        }
    )
    begin_traffic(args)
    with running_graph(args, host="127.0.0.1", port=free_ports(1)[0]) as running:
        yield running, Path(args.traffic)


def replicas(graph: RunningGraph) -> Counter[str]:
    """Count the processes of each deployment: a process shows in its title what it is."""
    found: Counter[str] = Counter()
    for pid in graph.process_ids():
        with suppress(OSError):
            title = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0")
            if title.startswith(_MARK):
                found[title.removeprefix(_MARK).decode().split(".")[0]] += 1
    return found


def wait_for(graph: RunningGraph, wanted: dict[str, int]) -> None:
    give_up_s = time.monotonic() + _SECONDS_TO_CHANGE
    while replicas(graph) != Counter(wanted):
        assert time.monotonic() < give_up_s, f"{dict(replicas(graph))} instead of {wanted}"
        time.sleep(0.2)


@pytest.fixture
def load(graph: tuple[RunningGraph, Path]) -> Iterator[Callable[[], list[Result]]]:
    """Ask from four connections; what is returned ends it and says how each second went."""
    asks = [
        post("recommend", "/recommend", orjson.dumps({"user_id": f"u{n}", "top_n": 10})) for n in range(50)
    ]
    found: list[Result] = []
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            found.append(drive_closed(graph[0].address, asks, connections=4, duration_s=1.0))

    thread = threading.Thread(target=run)
    thread.start()

    def stop() -> list[Result]:
        over.set()
        thread.join()
        return found

    yield stop
    stop()


SMALL = {"router": 1, "recall-blue": 1, "ranking-blue": 1}
LARGE = {"router": 1, "recall-blue": 2, "ranking-blue": 2}


def test_the_graph_grows_under_load_and_shrinks_after_it_and_no_request_fails(
    graph: tuple[RunningGraph, Path], load: Callable[[], list[Result]]
) -> None:
    running, _ = graph
    wait_for(running, LARGE)  # and no replica at all in the idle lane
    found = load()
    assert not any(result.total.failures for result in found)
    assert sum(result.total.n_good for result in found) > 100
    wait_for(running, SMALL)


def test_a_lane_wakes_when_it_gets_a_bundle_and_sleeps_when_it_has_lost_it(
    graph: tuple[RunningGraph, Path], load: Callable[[], list[Result]]
) -> None:
    running, path = graph
    traffic = FileTrafficStore(path)

    def change(**changes: object) -> None:
        now = traffic.read()
        changed = now.successor(updated_s=now.updated_s, updated_by="test", **changes)
        traffic.swap(changed, expected_version=now.version)

    stable = Arm(arm="stable", lane="blue", share=0.5)
    canary = Arm(arm="canary", lane="green", share=0.5)
    bundle = traffic.read().lanes["blue"]
    change(lanes={"blue": bundle, "green": bundle}, arms=(stable, canary))
    wait_for(running, LARGE | {"recall-green": 2, "ranking-green": 2})
    change(lanes={"blue": bundle, "green": None}, arms=(stable.model_copy(update={"share": 1.0}),))
    wait_for(running, LARGE)
    assert not any(result.total.failures for result in load())
