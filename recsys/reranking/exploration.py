"""Places of a list where chance now and then puts what the ranking would not have chosen.

A list explores or it does not, by a coin; one that does has *one* of its open places drawn anew. So no item
can come twice, and the chance of every item to stand where it stands is known exactly, whatever the method:

- at a place that is not open: 1
- the ranking's own item at an open place: 1 - share / places + (share / places) * its chance in the draw
- another item there: (share / places) * its chance in the draw

Chance is a function of the request's id: whoever asks again with the same id gets the same list.
"""

from typing import Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from recsys.core.settings import FrozenModel
from recsys.experiments.assignment import bucket
from recsys.reranking.posterior import ItemInterest, chances_of_largest

_SALT = "exploration"


class ExplorationConfig(FrozenModel):
    """Which lists explore, where, and among what."""

    share: float = Field(default=0.0, ge=0, le=1)
    """Of the lists, by chance; an experiment's knob ``explore`` comes before it. 0: none."""

    places: tuple[PositiveInt, ...] = Field(default=(5, 10), min_length=1)
    """Which places are open, 1 is the top; those beyond a list's end do not count."""

    method: Literal["epsilon", "thompson"] = "epsilon"
    """``epsilon``: every choice alike. ``thompson``: each as probably as it may be the one that is chosen
    most often, going by its interactions per day."""

    pool: Literal["ranked", "new"] = "ranked"
    """Which candidates beyond the list may be drawn: those ranked next, or those with the fewest
    interactions."""

    n_choices: PositiveInt = 20
    """How many; the item that the ranking put there is one more, with the chance of one among all."""

    uniform_share: float = Field(default=0.1, gt=0, le=1)
    """Of ``thompson``: this part of the chance is dealt evenly, so that no choice is out of reach."""

    prior_interactions: PositiveFloat = 1.0
    """Of ``thompson``: what the belief that an item is like the mean is worth."""

    @property
    def needs_interest(self) -> bool:
        """Whether a bundle must know how often each item was met."""
        return self.method == "thompson" or self.pool == "new"

    @model_validator(mode="after")
    def _rise(self) -> Self:
        if list(self.places) != sorted(set(self.places)):
            raise ValueError("places rise, and each stands once")
        return self


class Chance(NamedTuple):
    """Independent numbers in [0, 1)."""

    place: float  # says which open place is drawn
    item: float  # says what comes there


class Drawn(NamedTuple):
    """A place of a list that was drawn."""

    column: int  # of the list, 0 is the top
    choices: NDArray[np.intp]  # columns of the candidates; the ranking's own first
    chances: NDArray[np.float64]  # of the choices, together 1: given that this place is drawn
    chosen: int  # row number into ``choices``


def explores(request_id: str, share: float) -> bool:
    """Tell whether the list of a request explores."""
    return share > 0.0 and bucket(request_id, "list", salt=_SALT) < share


def chance_of(request_id: str) -> Chance:
    """Return the chance of a request, independent of whether it explores."""
    return Chance(bucket(request_id, "place", salt=_SALT), bucket(request_id, "item", salt=_SALT))


def draw(
    listed: NDArray[np.int32],
    item_rows: NDArray[np.int32],
    scores: NDArray[np.float32],
    config: ExplorationConfig,
    chance: Chance,
    interest: ItemInterest | None = None,
) -> Drawn | None:
    """Draw one place of a list; None when no place is open or nothing else could come there.

    Args:
        listed: shape (shown,): columns of the candidates that are shown, the top first.
        item_rows: shape (candidates,), NO_ITEM where padded.
        scores: same shape, higher is better; ignored where padded.
        config: which places, and among what.
        chance: of this request.
        interest: what is known of the items; needed where ``config.needs_interest``.
    """
    columns = open_columns(len(listed), config)
    others = _others(listed, item_rows, scores, config, interest)
    if not columns or not len(others):
        return None
    column = columns[int(chance.place * len(columns))]
    chances = _chances(item_rows[others], config, interest)
    chosen = int(np.searchsorted(np.cumsum(chances), chance.item, side="right"))
    choices = np.concatenate([[listed[column]], others]).astype(np.intp)
    return Drawn(column, choices, chances, min(chosen, len(others)))


def propensities(
    n_shown: int, n_candidates: int, share: float, config: ExplorationConfig, drawn: Drawn | None = None
) -> NDArray[np.float64]:
    """Return the chance that each item of a list had of standing in its place, shape (n_shown,), in (0, 1].

    Args:
        n_shown: length of the list, without what fills it up.
        n_candidates: how many there were, those of the list included, without padding.
        share: of lists that explore.
        config: which places, and among how many.
        drawn: the place that was drawn; None: the list is the ranking's own.
    """
    found = np.ones(n_shown)
    columns = open_columns(n_shown, config)
    n_others = min(config.n_choices, n_candidates - n_shown)
    if not columns or n_others <= 0:
        return found
    of_place = share / len(columns)
    found[list(columns)] = 1.0 - of_place + of_place / (1 + n_others)
    if drawn is not None and drawn.chosen:
        found[drawn.column] = of_place * drawn.chances[drawn.chosen]
    return found


def open_columns(n_shown: int, config: ExplorationConfig) -> tuple[int, ...]:
    """Return the columns of the open places of a list of this length, 0 is the top."""
    return tuple(place - 1 for place in config.places if place <= n_shown)


def _others(
    listed: NDArray[np.int32],
    item_rows: NDArray[np.int32],
    scores: NDArray[np.float32],
    config: ExplorationConfig,
    interest: ItemInterest | None,
) -> NDArray[np.intp]:
    """Return the columns of candidates that are not shown and may be drawn."""
    free = item_rows >= 0
    free[listed] = False
    columns = np.flatnonzero(free)
    if config.pool == "new" and interest is not None:
        order = np.lexsort((-scores[columns], interest.n_interactions[item_rows[columns]]))
    else:
        order = np.argsort(-scores[columns], kind="stable")
    return columns[order[: config.n_choices]]


def _chances(
    others: NDArray[np.int32], config: ExplorationConfig, interest: ItemInterest | None
) -> NDArray[np.float64]:
    """Return the chances of the ranking's own item and the others, together 1."""
    n = len(others)
    shares = np.full(n, 1.0 / n)
    if config.method == "thompson" and interest is not None:
        best = chances_of_largest(*interest.posterior(others, config.prior_interactions))
        shares = config.uniform_share * shares + (1.0 - config.uniform_share) * best
    return np.concatenate([[1.0], n * shares]) / (n + 1.0)
