"""Bundles in a registry on the node, for releases that train none themselves."""

from dataclasses import dataclass
from pathlib import Path

from loadtest.swap.twins import twin_of
from recsys.data.formats import load_dataset
from recsys.ranking.boosting import BoostingConfig
from recsys.registry.local import LocalRegistry
from recsys.simulation.scenario import scenario_named
from recsys.simulation.writer import simulate
from recsys.training.cross_fit import CrossFitConfig
from recsys.training.train import train
from recsys.training.two_stage import TrainingConfig

_SCENARIO = scenario_named("tiny", n_users=500, n_items=300, n_events=20_000)
_SEED = 7


@dataclass(frozen=True, slots=True)
class Bundles:
    """Names of bundles in the registry."""

    first: str
    better: str  # other trees
    faulty: str  # a twin of the better one, on which values lay a fault


def train_bundles(registry: LocalRegistry, data: Path) -> Bundles:
    """Train two bundles on a simulated world and put them, and a twin, into a registry."""
    simulate(_SCENARIO, _SEED, data, n_workers=1)
    world = load_dataset(data, now_s=2e9).dataset

    def trained(n_trees: int) -> str:
        config = TrainingConfig(
            boosting=BoostingConfig(n_trees=n_trees),
            cross_fit=CrossFitConfig(max_questions=500),
            n_candidates=100,
        )
        return train(world, registry, config, key=f"{n_trees}", now_s=0.0).bundle.name

    first, better = trained(20), trained(30)
    faulty = twin_of(registry.get(better), registry, 1, now_s=0.0)
    registry.promote(first, "stable", expected=None, by="test", now_s=0.0)
    return Bundles(first, better, faulty)
