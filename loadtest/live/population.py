"""Who asks for a list, and when: sessions of returning users, of new ones, of people without a name."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from loadtest.live.settings import PopulationSettings
from recsys.core.clock import SECONDS_PER_DAY
from recsys.simulation.schedule import rows_per_user
from recsys.simulation.world import World

_VISITS = 1_000  # first number of our streams: the world's own have other keys


class VisitorKind(StrEnum):
    """How well the service can know somebody."""

    KNOWN = "known"
    NEW = "new"
    ANONYMOUS = "anonymous"


@dataclass(slots=True)
class Visitor:
    """Somebody in a session."""

    kind: VisitorKind
    user_id: str | None
    user_row: int
    """Whose taste it is. New and anonymous people borrow the taste of one of the world's users."""
    session_id: str | None = None
    """Of people without a name, so that they stay in one arm."""
    met: list[tuple[str, str]] = field(default_factory=list)
    """Item ids and kinds of this session; kept by the driver for those without a name."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One list to be asked for, or found without the service."""

    number: int
    due_s: float
    """Seconds of real time after the beginning."""
    world_time_s: float
    visitor: Visitor
    by_themselves: bool = False
    """They look for something themselves and ask for no list."""


class Population:
    """Draws visits; the same world, settings and seed draw the same ones."""

    def __init__(self, world: World, settings: PopulationSettings, *, seed: int, run_id: str) -> None:
        """Prepare.

        Args:
            world: whose users come; the busy ones of its past come often.
            settings: who else, and when.
            seed: of everything drawn.
            run_id: part of the ids of new users; one that the service has not met before.
        """
        self._world = world
        self._settings = settings
        self._rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_VISITS,)))
        activity = np.cumsum(rows_per_user(world.scenario, world.seed), dtype=np.float64)
        self._activity = activity / activity[-1]
        self._run_id = run_id
        self._n_new = self._n_nameless = 0
        self._seats: list[Visitor | None] = [None] * settings.n_seats

    @property
    def begins_s(self) -> float:
        """World time at the beginning."""
        scenario, day = self._world.scenario, self._settings.from_day
        return scenario.ends_s if day is None else scenario.starts_s + day * SECONDS_PER_DAY

    def visits(self) -> Iterator[Visit]:
        """Yield visits forever, in the order in which they are due."""
        due_s, number = 0.0, 0
        while True:
            due_s += self._rng.exponential(1.0 / self._settings.rate_per_s)
            world_time_s = self.begins_s + due_s * self._settings.speed
            yield Visit(number, due_s, world_time_s, self._visitor(), self._by_themselves())
            number += 1

    def _visitor(self) -> Visitor:
        """Return who sits in a seat drawn blindly; who leaves makes room for somebody else."""
        seat = int(self._rng.integers(len(self._seats)))
        visitor = self._seats[seat]
        if visitor is None or self._rng.random() < 1.0 / self._settings.lists_per_session:
            visitor = self._seats[seat] = self._somebody()
        return visitor

    def _by_themselves(self) -> bool:
        share = self._settings.own_share
        return share > 0.0 and bool(self._rng.random() < share)

    def _somebody(self) -> Visitor:
        luck = self._rng.random()
        if luck < self._settings.anonymous_share:
            self._n_nameless += 1
            session_id = f"session-{self._run_id}-{self._n_nameless}"
            return Visitor(VisitorKind.ANONYMOUS, None, self._anyone(), session_id)
        if luck - self._settings.anonymous_share < self._settings.new_share:
            self._n_new += 1
            return Visitor(VisitorKind.NEW, f"new-{self._run_id}-{self._n_new}", self._anyone())
        row = int(np.searchsorted(self._activity, self._rng.random(), side="right"))
        return Visitor(VisitorKind.KNOWN, self._world.user_id(row), row)

    def _anyone(self) -> int:
        return int(self._rng.integers(self._world.n_users))
