"""What a simulated world is like: its size, its tastes, its habits; and the table of named ones."""

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, ValidationError

from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.errors import FieldError
from recsys.core.settings import FrozenModel
from recsys.simulation.titles import TOPICS


class Scenario(FrozenModel):
    """A world before chance has touched it; with a seed it becomes one data set."""

    name: str
    """What the scenario is called in the table and in ``dataset.json``."""
    n_users: PositiveInt
    """Users; each gets at least one row when there are as many rows as users."""
    n_items: PositiveInt
    """Videos, old and new ones together."""
    n_events: PositiveInt
    """Rows to write. Fewer come when users run out of videos they have not met."""

    starts_s: NonNegativeFloat = 1_704_067_200.0
    """Unix time of the first moment: 2024-01-01, UTC."""
    n_days: PositiveInt = 60
    """How long the world is watched."""

    n_topics: int = Field(default=24, ge=1, le=len(TOPICS))
    """Topics; small catalogues get fewer, see :attr:`n_topics_used`."""
    n_dimensions: int = Field(default=16, ge=2, le=128)
    """Length of the vectors of tastes and videos."""
    zipf_exponent: NonNegativeFloat = 1.0
    """How unequally videos are shown: the one of rank r weighs r to minus this."""
    freshness_half_life_days: PositiveFloat = 20.0
    """A video this old is shown half as often as on its first day, down to a floor."""
    new_item_share: float = Field(default=0.2, ge=0.0, le=1.0)
    """Share of the catalogue that is published while the world is watched."""
    new_user_share: float = Field(default=0.3, ge=0.0, le=1.0)
    """Share of users who join while the world is watched."""
    activity_spread: NonNegativeFloat = 0.9
    """Standard deviation of the logarithm of rows per user."""

    drift: float = Field(default=0.2, ge=0.0, le=1.0)
    """How far tastes move from their first to their last state; 1.0 means all the way."""
    shift_at_hour: NonNegativeFloat | None = None
    """Tastes move by ``drift`` all at once, so many hours after the first moment; None: bit by bit."""
    last_n_topics: PositiveInt | None = None
    """The last tastes are drawn from the first so many topics alone: fashions. None: from all, so that each
    user changes and the whole does not."""
    new_fashions: bool = False
    """Nobody's first taste is of those topics, so that the past says little of them."""
    taste_weight: NonNegativeFloat = 5.0
    """Weight of affinity in the choice among what is shown."""
    series_momentum: NonNegativeFloat = 2.0
    """Bonus of the next episode after the last video watched."""
    creator_momentum: NonNegativeFloat = 1.0
    """Bonus of the creator of the last video, within a session."""
    topic_momentum: NonNegativeFloat = 0.8
    """Bonus of the topic of each of the last two videos, within a session."""

    slate_size: int = Field(default=10, ge=1, le=100)
    """Videos shown at a time, in positions 1 to this."""
    position_exponent: NonNegativeFloat = 0.5
    """Position k is looked at with chance k to minus this."""
    leave_utility: float = 1.0
    """Utility of choosing nothing; the row is then an impression."""
    session_length: float = Field(default=8.0, ge=1.0)
    """Mean rows per session."""

    @property
    def ends_s(self) -> float:
        """Unix time of the last moment."""
        return self.starts_s + self.n_days * SECONDS_PER_DAY

    @property
    def n_topics_used(self) -> int:
        """Topics that exist: at most one per four videos, at least one."""
        return max(1, min(self.n_topics, self.n_items // 4))

    @property
    def max_rows_per_user(self) -> int:
        """A user meets at most half the catalogue."""
        return max(1, min(self.n_items // 2, 1_000))


_STEADY = Scenario(
    name="steady",
    n_users=20_000,
    n_items=5_000,
    n_events=200_000,
    n_days=98,
    zipf_exponent=0.3,
    freshness_half_life_days=100_000.0,
    new_item_share=0.2,
    new_user_share=0.0,
    drift=0.0,
)

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(name="tiny", n_users=200, n_items=100, n_events=5_000, n_topics=8),
        Scenario(name="small", n_users=2_000, n_items=1_000, n_events=100_000),
        Scenario(name="medium", n_users=10_000, n_items=20_000, n_events=1_000_000),
        Scenario(name="large", n_users=1_000_000, n_items=20_000, n_events=20_000_000),
        Scenario(name="drift", n_users=2_000, n_items=1_000, n_events=100_000, drift=1.0),
        _STEADY,
        _STEADY.model_copy(
            update={
                "name": "shift",
                "drift": 1.0,
                "shift_at_hour": 60 * 24.0 + 18.0,
                "last_n_topics": 6,
            }
        ),
        Scenario(
            name="cold-start",
            n_users=5_000,
            n_items=2_000,
            n_events=60_000,
            new_item_share=0.6,
            new_user_share=0.8,
            freshness_half_life_days=5.0,
        ),
        Scenario(
            name="popularity-heavy",
            n_users=2_000,
            n_items=1_000,
            n_events=100_000,
            zipf_exponent=1.4,
            taste_weight=2.0,
        ),
    )
}
"""Every named scenario."""


def scenario_named(
    name: str, *, n_users: int | None = None, n_items: int | None = None, n_events: int | None = None
) -> Scenario:
    """Return a scenario of the table, at another size where one is given.

    Raises:
        FieldError: the name is not in :data:`SCENARIOS`, or a size is out of range.
    """
    if name not in SCENARIOS:
        raise FieldError("scenario", repr(name), f"one of {', '.join(SCENARIOS)}")
    sizes = {"n_users": n_users, "n_items": n_items, "n_events": n_events}
    given = {field: size for field, size in sizes.items() if size is not None}
    try:
        scenario = Scenario.model_validate(SCENARIOS[name].model_dump() | given)
    except ValidationError as error:
        first = error.errors()[0]
        raise FieldError(str(first["loc"][0]), repr(first["input"]), first["msg"]) from None
    room = scenario.n_users * scenario.max_rows_per_user
    if scenario.n_events > room:
        expected = f"at most {room:,} (users x {scenario.max_rows_per_user} rows each)"
        raise FieldError("n_events", f"{scenario.n_events:,}", expected)
    return scenario
