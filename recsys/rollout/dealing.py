"""Who gets which arm: a document turned into something that deals requests."""

from bisect import bisect_right
from collections.abc import Mapping
from typing import NamedTuple

from recsys.core.errors import FieldError
from recsys.experiments.assignment import bucket, edges_of
from recsys.rollout.names import ROLLOUT_EXPERIMENT
from recsys.rollout.traffic import Arm, Experiment, TrafficDocument

Wishes = Mapping[str, str]
"""Experiment (or ``rollout``) -> the arm that is asked for."""
NO_WISHES: Wishes = {}
_NO_ARMS: Mapping[str, str] = {}
_NO_KNOBS: Mapping[str, float] = {}


class Place(NamedTuple):
    """What somebody was dealt."""

    arm: Arm
    override: bool = False
    """Not by chance: asked for, on the allow-list, or moved out of a killed arm. Not for statistics."""
    experiments: Mapping[str, str] = _NO_ARMS
    """Experiment -> arm, of those in which chance decided."""
    knobs: Mapping[str, float] = _NO_KNOBS
    """What the arms of all experiments turn."""


class Dealer:
    """Deals by one document; a pure function of it and of who asks."""

    def __init__(self, document: TrafficDocument) -> None:
        self._salt = document.salt
        self._overrides = document.overrides
        self._places = [Place(arm) for arm in document.arms]
        self._deck = _Deck({arm.arm: arm.share for arm in document.arms}, document.killed, prefix="")
        self._tables = [_Table(experiment, document.killed) for experiment in document.experiments]

    def deal(self, unit: str, user_id: str | None = None, wishes: Wishes = NO_WISHES) -> Place:
        """Return somebody's place.

        Args:
            unit: what the dealing goes by: the user; of anonymous traffic the session, else the request.
            user_id: told apart from ``unit``, for the allow-list names users.
            wishes: arms that were asked for; see :meth:`check`.
        """
        wish = wishes.get(ROLLOUT_EXPERIMENT) or (self._overrides.get(user_id) if user_id else None)
        row, by_chance = self._deck.deal(unit, ROLLOUT_EXPERIMENT, self._salt, wish)
        place = self._places[row]
        if not by_chance:
            place = place._replace(override=True)
        return self._with_experiments(place, unit, wishes) if self._tables else place

    def check(self, wishes: Wishes) -> None:
        """Refuse wishes that cannot be granted.

        Raises:
            FieldError: there is no such experiment or arm, or the arm is killed.
        """
        decks = {ROLLOUT_EXPERIMENT: self._deck} | {table.name: table.deck for table in self._tables}
        for experiment, arm in wishes.items():
            if experiment not in decks:
                raise FieldError("X-Marquee-Arm", f"experiment {experiment!r}", f"one of {', '.join(decks)}")
            if not decks[experiment].has(arm):
                there = ", ".join(decks[experiment].living)
                raise FieldError("X-Marquee-Arm", f"arm {arm!r} of {experiment}", f"one of {there}")

    def _with_experiments(self, place: Place, unit: str, wishes: Wishes) -> Place:
        arms: dict[str, str] = {}
        knobs: dict[str, float] = {}
        for table in self._tables:
            row, by_chance = table.deck.deal(unit, table.name, table.salt, wishes.get(table.name))
            knobs |= table.knobs[row]
            if by_chance:
                arms[table.name] = table.deck.names[row]
        return place._replace(experiments=arms, knobs=knobs)


class _Deck:
    """Arms as they lie on [0, 1)."""

    def __init__(self, shares: Mapping[str, float], killed: Mapping[str, object], *, prefix: str) -> None:
        self.names = list(shares)
        self._row_of = {name: row for row, name in enumerate(self.names)}
        self._edges = edges_of(list(shares.values()))
        self._killed = [f"{prefix}{name}" in killed for name in self.names]

    @property
    def living(self) -> list[str]:
        """The arms that are not killed."""
        return [name for name, killed in zip(self.names, self._killed, strict=True) if not killed]

    def has(self, arm: str) -> bool:
        """Tell whether an arm is there and not killed."""
        return arm in self._row_of and not self._killed[self._row_of[arm]]

    def deal(self, unit: str, experiment: str, salt: str, wish: str | None) -> tuple[int, bool]:
        """Return the row of the arm, and whether chance alone decided."""
        if wish is not None and self.has(wish):
            return self._row_of[wish], False
        if not self._edges:  # there is nothing to deal
            return 0, True
        row = bisect_right(self._edges, bucket(unit, experiment, salt=salt))
        return (0, False) if self._killed[row] else (row, True)


class _Table:
    """An experiment, ready to deal."""

    def __init__(self, experiment: Experiment, killed: Mapping[str, object]) -> None:
        self.name = experiment.name
        self.salt = experiment.salt
        self.deck = _Deck(
            {arm.arm: arm.share for arm in experiment.arms}, killed, prefix=f"{experiment.name}/"
        )
        self.knobs = [arm.knobs.turned for arm in experiment.arms]
