"""Users and a bundle without a service: the same visits and reactions, answered by plain calls on batches."""

from collections.abc import Iterable, Iterator
from itertools import groupby

import numpy as np

from loadtest.live.population import Population, Visit
from loadtest.live.reactions import KINDS, Reactions, found_lists, react
from loadtest.live.settings import LiveSettings
from recsys.core.clock import SECONDS_PER_HOUR
from recsys.data.events import Event, EventKind
from recsys.pipeline.stages import TwoStage
from recsys.pipeline.states import batch_of_states
from recsys.simulation.world import World
from recsys.state.store import EMPTY, UserStateStore

_STRIDE_S = SECONDS_PER_HOUR  # within it nobody's list knows of the others'
_REACTIONS = 1_002  # stream of chance, beside that of arrivals


def visits_until(population: Population, until_s: float) -> Iterator[Visit]:
    """Yield a population's visits before a time of the world."""
    for visit in population.visits():
        if visit.world_time_s >= until_s:
            return
        yield visit


def live(
    world: World,
    visits: Iterable[Visit],
    model: TwoStage,
    state: UserStateStore,
    *,
    seed: int,
    settings: LiveSettings,
) -> Iterator[tuple[list[Visit], Reactions, list[Event]]]:
    """Answer visits, let everybody react, and apply what they did to the user state; hour by hour.

    Args:
        world: knows the tastes.
        visits: in order of time.
        model: whose lists they get.
        state: what is remembered of them.
        seed: of the reactions.
        settings: how long lists are, and among how many videos those choose who need none.

    Yields:
        The visits of an hour, what became of each list, and the events of those with a name.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_REACTIONS,)))
    items = model.recall.catalogue.items
    for _, group in groupby(visits, key=lambda visit: visit.world_time_s // _STRIDE_S):
        hour = list(group)
        asking = [visit.visitor.user_id for visit in hour]
        known = iter(state.read([user_id for user_id in asking if user_id is not None]))
        states = [EMPTY if user_id is None else next(known) for user_id in asking]
        times_s = np.array([visit.world_time_s for visit in hour])
        users = batch_of_states(states, items, now_s=times_s, context_rows=np.zeros(len(hour), np.int16))
        rows = np.array([visit.visitor.user_row for visit in hour], dtype=np.int64)
        among = settings.population.found_among
        found = found_lists(world, rows, settings.top_n, times_s, rng, among=among)
        by_themselves = np.array([visit.by_themselves for visit in hour])
        lists = np.where(by_themselves[:, None], found, model.top(users, settings.top_n).astype(np.int64))
        reactions = react(world, rows, lists, times_s, rng)
        events = [
            event
            for place, visit in enumerate(hour)
            for event in _events(visit, reactions, place, [items.ids[row] for row in lists[place].tolist()])
        ]
        state.apply(events)
        yield hour, reactions, events


def _events(visit: Visit, reactions: Reactions, place: int, item_ids: list[str]) -> Iterator[Event]:
    if visit.visitor.user_id is None:
        return
    kinds, values = reactions.kinds[place].tolist(), reactions.values[place].tolist()
    for position, (item_id, kind, value) in enumerate(zip(item_ids, kinds, values, strict=True), 1):
        if kind >= 0:
            yield Event(
                event_id=f"settled-{visit.number}-{position}",
                user_id=visit.visitor.user_id,
                kind=EventKind(KINDS[kind].value),
                time_s=visit.world_time_s,
                item_id=item_id,
                value=value,
            )
