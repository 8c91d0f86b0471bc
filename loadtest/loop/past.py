"""What a run begins with: a world, its past in a lake, a bundle that knows it, and users who have used it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from loadtest.live.population import Population
from loadtest.loop.lives import live, visits_until
from loadtest.loop.settings import LoopSettings
from recsys.data.events import Event
from recsys.data.folder import save_dataset
from recsys.data.formats import load_dataset
from recsys.data.schema import INTERACTIONS, Dataset
from recsys.drift.events import interactions_of
from recsys.lake.importing import import_dataset
from recsys.lake.open import open_lake
from recsys.registry.local import LocalRegistry
from recsys.simulation.reader import world_of
from recsys.simulation.world import World
from recsys.simulation.writer import simulate
from recsys.state.seeding import seed_state
from recsys.state.sqlite import SqliteUserState
from recsys.training.kept_sums import open_sums
from recsys.training.refresh import RefreshConfig, Refreshed, read_parent, refresh

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A home for a service: ``registry``, ``state.db`` and ``lake`` lie in it."""

    world: World
    home: Path
    bundle: str


def prepare(home: Path, settings: LoopSettings, *, on_step: Told = lambda _: None) -> Prepared:
    """Make a home: bundles trained on what was before, users who have lived with the service for a while.

    A first bundle learns from the simulated past. Users live with its lists, and the second one, which the
    run begins with, is its refresh: so its profile is of people who use a recommender, as they will.

    Args:
        home: nothing, or an empty folder.
        settings: of the run.
        on_step: is told what takes long.
    """
    data = home / "past"
    on_step("a past is simulated")
    simulate(settings.scenario, settings.seed, data, n_workers=1)
    world = world_of(data)
    past = load_dataset(data, now_s=settings.begins_s).dataset
    registry = LocalRegistry(home / "registry")
    on_step("a bundle learns from it")
    first = _bundle(past, registry, settings, None, settings.scenario.ends_s)
    with SqliteUserState(home / "state.db") as state:
        seed_state(past.interactions, state)
        on_step(f"users live with it for {settings.settled_days} days")
        who = settings.users_from(settings.scenario.ends_s)
        population = Population(world, who.population, seed=settings.seed + 1, run_id="settled")
        model = read_parent(registry, open_sums(registry.root), first, None).model
        visits = visits_until(population, settings.begins_s)
        lives = live(world, visits, model, state, seed=settings.seed, settings=who)
        settled = [event for _, _, events in lives for event in events]
    known = _with(past, settled)
    save_dataset(known, home / "known")
    import_dataset(open_lake(home / "lake", make=True), known)
    on_step("the bundle is refreshed")
    bundle = _bundle(known, registry, settings, first, settings.begins_s)
    registry.promote(bundle, "stable", expected=None, by="marquee loop", now_s=settings.begins_s)
    return Prepared(world, home, bundle)


def _with(past: Dataset, events: Iterable[Event]) -> Dataset:
    """Return a data set with events behind its interactions."""
    both = pl.concat([past.interactions, interactions_of(events)]).select(*INTERACTIONS)
    return Dataset(past.name, both.sort("time_s", maintain_order=True), past.items)


def _bundle(
    dataset: Dataset, registry: LocalRegistry, settings: LoopSettings, parent: str | None, now_s: float
) -> str:
    """Publish a bundle: a full fit, or the refresh of one before; return its name."""
    sums = open_sums(registry.root)
    before = None if parent is None else read_parent(registry, sums, parent, settings.training)
    done: Refreshed = refresh(
        dataset,
        registry,
        sums,
        before,
        settings.training,
        RefreshConfig(gate=None),
        key=f"loop-{now_s:.0f}",
        now_s=now_s,
    )
    return done.bundle.name
