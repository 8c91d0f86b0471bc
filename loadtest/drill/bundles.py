"""A world, and two bundles that learned from it: one from little, one from all."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recsys.core.clock import Clock
from recsys.data.formats import load_dataset
from recsys.data.schema import Dataset
from recsys.ranking.boosting import BoostingConfig
from recsys.registry.local import LocalRegistry
from recsys.simulation.reader import world_of
from recsys.simulation.scenario import scenario_named
from recsys.simulation.world import World
from recsys.simulation.writer import simulate
from recsys.state.seeding import seed_state
from recsys.state.sqlite import SqliteUserState
from recsys.training.cross_fit import CrossFitConfig
from recsys.training.train import find_trained, train, training_key
from recsys.training.two_stage import TrainingConfig

SCENARIO = scenario_named("small", n_users=3_000, n_items=1_500, n_events=150_000)
SEED = 7
_LITTLE = 0.03  # share of the rows that the stable bundle learns from
_CONFIG = TrainingConfig(
    boosting=BoostingConfig(n_trees=60), cross_fit=CrossFitConfig(max_questions=4_000), n_candidates=400
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What every scene begins with."""

    world: World
    registry: Path  # with the two bundles; no channel names one
    state: Path  # user state: the service knows the world's users
    little: str  # learned from little
    better: str  # learned from everything


def prepare(folder: Path, *, clock: Clock, on_step: Callable[[str], None]) -> Prepared:
    """Return what scenes begin with; made once and kept.

    Args:
        folder: where it is kept.
        clock: Unix time.
        on_step: is told what takes long.
    """
    data = folder / "data"
    if not data.is_dir():
        on_step("simulating a world")
        simulate(SCENARIO, SEED, data)
    everything = load_dataset(data, now_s=clock()).dataset
    registry = LocalRegistry(folder / "registry")
    little = _trained(_part_of(everything), registry, clock, lambda: on_step("a bundle that learned little"))
    better = _trained(everything, registry, clock, lambda: on_step("a bundle that learned from all"))
    state = folder / "state.db"
    if not state.exists():
        on_step("what is remembered of the world's users")
        with SqliteUserState(state) as store:
            seed_state(everything.interactions, store)
    return Prepared(world_of(data), registry.root, state, little, better)


def _part_of(dataset: Dataset) -> Dataset:
    part = dataset.interactions.sample(fraction=_LITTLE, seed=SEED).sort("time_s")
    return Dataset(f"{dataset.name}-part", part, dataset.items)


def _trained(dataset: Dataset, registry: LocalRegistry, clock: Clock, on_training: Callable[[], None]) -> str:
    key = training_key(f"{dataset.name}:{dataset.interactions.height}", _CONFIG)
    found = find_trained(registry, key)
    if found is not None:
        return found
    on_training()
    return train(dataset, registry, _CONFIG, key=key, now_s=clock()).bundle.name
