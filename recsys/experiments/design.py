"""What an experiment is about, declared before its first user."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from recsys.core.errors import FieldError
from recsys.core.settings import FrozenModel
from recsys.experiments.assignment import check_shares


class Metric(FrozenModel):
    """A figure per user; the user table has a column of its name."""

    name: str = Field(min_length=1)
    """As the column; a ratio has its denominator in the column ``<name>:of``."""
    better: Literal["higher", "lower"] = "higher"
    """Which way is up."""
    tolerance: NonNegativeFloat = 0.0
    """Of a guardrail: it may worsen by this share of control's value."""

    @property
    def sign(self) -> int:
        """1 where more is better, else -1."""
        return 1 if self.better == "higher" else -1


class ExperimentDesign(FrozenModel):
    """Everything that decides what the result will mean."""

    name: str = Field(min_length=1)
    """Of the experiment; it also deals the users."""
    arms: dict[str, float]
    """Arm -> share of users, each above 0, together 1."""
    control: str
    """The arm that all others are compared with."""
    primary: Metric
    """The one metric that decides."""
    further: tuple[Metric, ...] = ()
    """Reported beside it; they decide nothing, and their errors add up."""
    guardrails: tuple[Metric, ...] = ()
    """What may not worsen by more than its tolerance."""
    segments: tuple[str, ...] = ()
    """Columns of the user table to look at apart."""
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """How probable it may be that any arm is said to differ in the primary metric although none does."""
    sample_ratio_alpha: float = Field(default=0.001, gt=0, lt=0.5)
    """How probable it may be that a sound experiment is ever called badly dealt."""
    planned_users: PositiveInt
    """Of all arms together; intervals are narrowest there."""
    minimum_effect: PositiveFloat
    """The smallest difference in the primary metric that matters, in its unit."""
    power: float = Field(default=0.8, gt=0.5, lt=1)
    """How surely the minimum effect is to be found."""

    @model_validator(mode="after")
    def _consistent(self) -> "ExperimentDesign":
        try:
            check_shares(tuple(self.arms.values()))
        except FieldError as error:
            raise ValueError(f"arms: {error}") from error
        if len(self.arms) < 2 or min(self.arms.values()) <= 0.0:
            raise ValueError("arms: two or more are compared, each with a share above 0")
        if self.control not in self.arms:
            raise ValueError(f"control: {self.control!r} is none of the arms {', '.join(self.arms)}")
        names = [metric.name for metric in self.metrics]
        if len(set(names)) != len(names):
            raise ValueError("metrics: each has one role only")
        return self

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All metrics, the primary first."""
        return (self.primary, *self.further, *self.guardrails)

    @property
    def treatments(self) -> tuple[str, ...]:
        """All arms but the control."""
        return tuple(arm for arm in self.arms if arm != self.control)

    @property
    def alpha_per_arm(self) -> float:
        """The level of one arm's comparison: Bonferroni's, since intervals are shown."""
        return self.alpha / len(self.treatments)

    def planned_pair(self, arm: str) -> float:
        """Return how many users are planned for the control and this arm together."""
        return self.planned_users * (self.arms[self.control] + self.arms[arm])
