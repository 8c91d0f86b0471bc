"""How a known world meets a running service."""

from typing import Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from recsys.core.settings import FrozenModel


class PopulationSettings(FrozenModel):
    """Who comes, and when."""

    rate_per_s: PositiveFloat = 20.0
    """Lists asked for per second of real time, on average; the gaps between them are exponential."""
    speed: PositiveFloat = 2_880.0
    """Seconds of the world per second of real time; a day in half a minute."""
    from_day: NonNegativeFloat | None = None
    """World time at the beginning, in days after its first moment; None: its last moment, up to which a data
    set tells of it. From then on tastes stand still; from an earlier day they go on moving."""
    between_s: PositiveFloat = 600.0
    """Mean world time between two lists of a session."""
    lists_per_session: float = Field(default=4.0, ge=1.0)
    """Mean number of lists that somebody asks for before leaving."""
    new_share: float = Field(default=0.1, ge=0.0, le=1.0)
    """Share of sessions of users whom the service has never met."""
    anonymous_share: float = Field(default=0.05, ge=0.0, le=1.0)
    """Share of sessions of people who do not say who they are."""
    own_share: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of visits on which people look for something by themselves and ask for no list."""
    found_among: PositiveInt = 60
    """Then they choose the best of so many videos drawn blindly."""

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        if self.new_share + self.anonymous_share > 1.0:
            raise ValueError("new_share and anonymous_share are more than 1.0 together")
        return self

    @property
    def n_seats(self) -> int:
        """How many sessions go on at a time, so that rate and pauses agree; at least one."""
        return max(1, round(self.rate_per_s * self.between_s / self.speed))


class LiveSettings(FrozenModel):
    """Who asks, and how patiently."""

    population: PopulationSettings = PopulationSettings()
    """Who comes, and when."""
    seed: NonNegativeInt = 0
    """Of arrivals and reactions."""
    top_n: int = Field(default=10, ge=1, le=100)
    """How many videos are asked for; an answer with fewer is a failure."""
    timeout_s: PositiveFloat = 10.0
    """No whole answer by then is a failure."""
    max_in_flight: PositiveInt = 1_024
    """Requests under way at a time; an arrival beyond is not sent, and a failure. Room for a
    machine that stands still for seconds, which is no fault of the service."""
