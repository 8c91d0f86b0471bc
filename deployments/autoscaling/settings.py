"""What can be set about autoscaling: closed, ranged, explained."""

from typing import Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from recsys.core.settings import FrozenModel


class Bounds(FrozenModel):
    """How few and how many replicas a deployment may have."""

    least: PositiveInt = 1
    """While anybody needs it; a lane that nobody needs may have none."""

    most: PositiveInt = 4
    """Never more, whatever the load."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.most < self.least:
            raise ValueError(f"most is {self.most}, which is below least ({self.least})")
        return self

    def clip(self, replicas: int) -> int:
        """Return the nearest number within the bounds."""
        return max(self.least, min(self.most, replicas))


class AutoscalingSettings(FrozenModel):
    """When the graph grows and shrinks."""

    router: Bounds = Bounds(least=2, most=2)
    """Routers. On one machine HAProxy fills the first before it asks the second, which stands by."""

    recall: Bounds = Bounds()
    """Recall, per lane."""

    ranking: Bounds = Bounds()
    """Ranking, per lane."""

    standby_replicas: NonNegativeInt = Field(default=1, le=4)
    """Replicas of each stage of a lane that has a bundle but no users: it is being prepared, or kept to go
    back to. With 0 it wakes when a traffic document gives it users; they stay where they are meanwhile."""

    utilisation: float = Field(default=0.6, gt=0, lt=1)
    """Which part of its time a replica should be busy. The rest absorbs what comes unevenly."""

    goal_s: PositiveFloat = 0.05
    """99 of 100 answers should leave the router within this time."""

    hold_s: NonNegativeFloat = 60.0
    """Shrink only to what was needed at most during this time."""

    tolerance: NonNegativeFloat = 0.1
    """Grow only when the load asks for so much more than there is: a rate is never measured exactly."""

    slack: NonNegativeFloat = 0.15
    """Shrink only to what would do for so much more load: what is just enough is left alone."""

    drain_s: PositiveFloat = 5.0
    """Requests that wait should be gone after this time."""

    settle_s: PositiveFloat = 10.0
    """When replicas have come, wait so long and see whether answers are still late."""

    blame_utilisation: float = Field(default=0.3, gt=0, lt=1)
    """A stage less busy than this is not to blame for late answers: more replicas of it would not help."""

    max_pressure: float = Field(default=3.0, ge=1)
    """Lateness never asks for more than so many times what the rate asks for."""

    forget_s: PositiveFloat = 600.0
    """After so long without lateness a stage tries again with what the rate alone asks for."""

    window_s: PositiveFloat = 5.0
    """Rates and tails are measured over this time."""

    decide_every_s: PositiveFloat = 1.0
    """How often the policy decides, and how often replicas report."""

    @property
    def most(self) -> tuple[int, int, int]:
        """The largest numbers of replicas: routers, and recall and ranking per lane."""
        return self.router.most, self.recall.most, self.ranking.most
