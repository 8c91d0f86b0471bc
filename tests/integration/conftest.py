"""One running graph per test session, on a bundle trained from a small simulated world."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deployments.cli.serve import begin_traffic, graph_args
from deployments.launcher import RunningGraph, running_graph
from deployments.settings import GraphArgs
from recsys.core.ports import free_ports
from recsys.data.schema import Dataset
from recsys.ranking.boosting import BoostingConfig
from recsys.registry.local import LocalRegistry
from recsys.simulation.reader import world_of
from recsys.simulation.world import World
from recsys.training.cross_fit import CrossFitConfig
from recsys.training.train import train
from recsys.training.two_stage import TrainingConfig


@dataclass(frozen=True, slots=True)
class Serving:
    """A running graph and all that it stands on."""

    graph: RunningGraph
    args: GraphArgs
    item_ids: frozenset[str]
    train: Callable[[int], str]  # a number of trees -> the name of another bundle in the registry

    @property
    def port(self) -> int:
        """Where it answers."""
        return int(self.graph.address.rpartition(":")[2])


Trainer = Callable[[Path], Callable[[int], str]]


@pytest.fixture(scope="session")
def trainer(simulated: Dataset) -> Trainer:
    """Return what makes, for a registry, what trains bundles into it; the first is in channel stable."""
    if sys.platform != "linux":
        pytest.skip("HAProxy for Ray Serve comes for Linux alone")
    return lambda folder: _trainer(simulated, LocalRegistry(folder))


def _trainer(simulated: Dataset, registry: LocalRegistry) -> Callable[[int], str]:

    def trained(n_trees: int) -> str:
        config = TrainingConfig(
            boosting=BoostingConfig(n_trees=n_trees),
            cross_fit=CrossFitConfig(max_questions=500),
            n_candidates=30,
        )
        return train(simulated, registry, config, key=f"{n_trees}", now_s=0.0).bundle.name

    registry.promote(trained(5), "stable", expected=None, by="test", now_s=0.0)
    return trained


@pytest.fixture(scope="session")
def world(simulated_folder: Path) -> World:
    """Return the users and items whose past the bundle has learned from, with their true tastes."""
    return world_of(simulated_folder)


@pytest.fixture(scope="session")
def serving(
    simulated: Dataset, trainer: Trainer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    """Run the graph of ``marquee serve``."""
    home = tmp_path_factory.mktemp("serving")
    trained = trainer(home / "registry")
    args = graph_args(Path(home))
    begin_traffic(args)
    with running_graph(args, host="127.0.0.1", port=free_ports(1)[0]) as graph:
        available = simulated.items.filter(simulated.items["available"])["item_id"].to_list()
        yield Serving(graph, args, frozenset(available), trained)
