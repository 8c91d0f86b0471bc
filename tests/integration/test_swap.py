"""Bundles swapped under load: nobody notices but by the lists."""

from collections.abc import Callable
from pathlib import Path

import pytest

from deployments.cli.serve import begin_traffic, graph_args
from deployments.launcher import running_graph
from deployments.overload_settings import OverloadSettings
from deployments.settings import CacheSettings, Deadlines, Replicas
from loadtest.soak.traffic import SoakTraffic
from loadtest.swap.drive import Load, Swaps, drive_swaps
from loadtest.swap.windows import compare
from recsys.core.clock import monotonic_clock
from recsys.core.ports import free_ports
from recsys.registry.local import LocalRegistry

pytestmark = [pytest.mark.serve, pytest.mark.slow]

_PATIENCE = {  # a busy machine makes answers late; what is left over is the fault of the swap
    "cache": CacheSettings(enabled=False),  # new users have one answer: nothing would reach the stages
    "deadlines": Deadlines(state_s=30.0, recall_s=30.0, ranking_s=30.0),
    "overload": OverloadSettings(max_wait_s=60.0),
}
_RATE_PER_S = 40.0
_WINDOW_S = 4.0
_TURNS = 3


def test_swapping_bundles_under_load_fails_and_degrades_nothing(
    trainer: Callable[[Path], Callable[[int], str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("swap")
    train = trainer(home / "registry")
    first = LocalRegistry(home / "registry").resolve("stable")
    uncached = {"cache": CacheSettings(enabled=False)}  # every list is to need the bundle
    args = graph_args(home).model_copy(update={"router": Replicas(replicas=1), **uncached, **_PATIENCE})
    begin_traffic(args)
    with running_graph(args, host="127.0.0.1", port=free_ports(1)[0]) as graph:
        load = Load(graph.address, SoakTraffic(500, 50, seed=0, mix={"recommend": 1.0}), _RATE_PER_S)
        swaps = Swaps(Path(args.traffic), (first, train(6), train(7)), _TURNS, _WINDOW_S)
        ended, done, total = drive_swaps(load, swaps, monotonic_clock)
    assert (total.failures, total.n_shed, total.n_degraded) == ({}, 0, 0)
    assert len(done) == _TURNS
    found = compare(ended, done, _WINDOW_S)
    assert len(found.before) > 100
    assert len(found.during) > 100
