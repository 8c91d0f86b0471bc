"""What the audience is like and what it asks."""

from typing import Annotated

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from recsys.core.errors import InputError
from recsys.core.settings import FrozenModel

Share = Annotated[float, Field(ge=0, le=1)]


class Mix(FrozenModel):
    """How often each call is made, against the others; follow-ups of visits come on top of none of these."""

    recommend: NonNegativeFloat = 1.0
    """``POST /recommend``."""
    recommend_get: NonNegativeFloat = 0.0
    """``GET /recommend/{user_id}``."""
    similar: NonNegativeFloat = 0.0
    """``GET /similar/{item_id}``."""
    popular: NonNegativeFloat = 0.0
    """``GET /popular``."""
    events: NonNegativeFloat = 0.0
    """``POST /events`` by users who follow no answer. It changes what the service knows of them."""

    @model_validator(mode="after")
    def _something_is_asked(self) -> "Mix":
        if not sum(dict(self).values()):
            raise ValueError("all weights are 0: nothing would be asked")
        return self


class Users(FrozenModel):
    """Who asks."""

    n_users: PositiveInt = 10_000
    """Known users; their ids are the prefix and a number from 0."""
    prefix: str = ""
    """Before the number."""
    zipf_exponent: NonNegativeFloat = 1.0
    """The user of rank r asks in proportion to r ** -exponent; 0: all alike."""
    cold_share: Share = 0.05
    """Share of requests by users who were never seen, each only once."""


class Visits(FrozenModel):
    """Users who stay: they act on the answer, then ask again.

    Their requests take the places of others, so the rate stays as scheduled. Their events change what the
    service knows.
    """

    share: Share = 0.0
    """Share of ``recommend`` requests that begin a visit."""
    think_s: PositiveFloat = 2.0
    """Mean time between an answer and what follows (exponential)."""
    n_rounds: Annotated[float, Field(ge=1)] = 3.0
    """Mean number of answers asked for in a visit (geometric)."""
    n_events: PositiveInt = 3
    """Events sent after each answer at most, in one request: for items from its top."""
    watch_share: Share = 0.4
    """Share of events that are watches; as many clicks and skips as there are left, half and half."""


class Items(FrozenModel):
    """Which items are asked about and acted on."""

    n_items: NonNegativeInt = 0
    """Their ids are the numbers below this; 0: they are learned from ``GET /popular``, before the run."""
    ids: tuple[str, ...] = ()
    """Or these."""


class TrafficSettings(FrozenModel):
    """Who asks what."""

    mix: Mix = Mix()
    """How often each call is made."""
    users: Users = Users()
    """Who asks."""
    visits: Visits = Visits()
    """Who stays."""
    items: Items = Items()
    """Which items."""
    top_n: Annotated[int, Field(ge=1, le=100)] = 10
    """Items asked for."""
    session_items: Annotated[int, Field(ge=0, le=200)] = 0
    """Items in the ``session`` of ``POST /recommend``."""
    explain_share: Share = 0.0
    """Share of ``POST /recommend`` that wants reasons."""
    context: str = ""
    """The ``context`` of every request that has one."""

    @property
    def needs_items(self) -> bool:
        """Whether any request names an item that no answer has named before."""
        return bool(self.mix.similar or self.mix.events or self.session_items)


def parse_mix(text: str) -> Mix:
    """Return the mix that a flag gives.

    Raises:
        InputError: it names a call that there is not, or a weight that is none.

    >>> parse_mix("recommend=8,popular=2").popular
    2.0
    """
    weights = dict.fromkeys(Mix.model_fields, 0.0)
    for part in text.split(","):
        name, sign, weight = part.strip().partition("=")
        if name not in weights:
            raise InputError(f"--mix: got call {name!r}; expected {', '.join(weights)}")
        try:
            weights[name] = float(weight) if sign else 1.0
        except ValueError:
            raise InputError(f"--mix: got weight {weight!r} of {name}; expected a number") from None
    return Mix(**weights)
