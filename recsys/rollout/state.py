"""Where a rollout stands: a part of the traffic document, so that both change in one write or not at all."""

from enum import StrEnum

from pydantic import Field, NonNegativeInt

from recsys.core.settings import FrozenModel
from recsys.experiments.guardrails import Outcome, Verdict
from recsys.rollout.names import BundleName, Name
from recsys.rollout.plan import RolloutPlan, Step

MOST_DECISIONS = 100
"""Kept in the document; a plan of 20 steps with five holds in each fits."""


class Phase(StrEnum):
    """What a rollout is doing."""

    PREPARING = "preparing"  # the idle lane loads the bundle; no user sees it
    RAMPING = "ramping"  # users come step by step
    HOLDING = "holding"  # promoted; the old bundle stays loaded, the way back is instant
    PROMOTED = "promoted"  # done; the old bundle is gone
    ABORTED = "aborted"  # taken back; all users are with the old bundle


class What(StrEnum):
    """What was decided."""

    START = "start"
    STEP = "step"
    HOLD = "hold"
    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    ABORT = "abort"
    SETTLE = "settle"


class Judged(FrozenModel):
    """What a guardrail said when it was decided."""

    metric: str
    outcome: Outcome
    why: str
    canary: float | None = None
    stable: float | None = None
    n: int = 0

    @classmethod
    def of(cls, verdict: Verdict) -> "Judged":
        """Write down a verdict."""
        return cls(**verdict._asdict())


class Decision(FrozenModel):
    """Something that was decided about a rollout, and the numbers behind it."""

    at_s: float
    what: What
    why: str
    by: str
    """A person, or the controller."""
    phase: Phase
    """Since then."""
    share: float
    """Of the users, that the canary has since then."""
    verdicts: tuple[Judged, ...] = ()


class RolloutState(FrozenModel):
    """A rollout, from its start until the next one."""

    id: Name
    """Names it, and deals the users."""
    request: str | None = None
    """The request in Helm's values that it carries out; None: a person started it."""
    plan: RolloutPlan
    bundle: BundleName
    """What is rolled out."""
    lane: Name
    """The lane that serves it."""
    stable_bundle: BundleName
    """What users had before."""
    stable_lane: Name
    phase: Phase = Phase.PREPARING
    step: NonNegativeInt = 0
    """The step that it is at, or begins with."""
    since_s: float = Field(ge=0)
    """Unix time at which this phase, or this step, began."""
    paused: bool = False
    """It goes no further until somebody resumes it; guardrails go on watching."""
    baseline: dict[str, dict[str, float]] | None = None
    """What the counters said when the step began; None when the source needs none."""
    settled: bool = False
    """Nothing is left to do: lanes are tidied up."""
    decisions: tuple[Decision, ...] = ()
    """From old to new, the latest :data:`MOST_DECISIONS`."""

    @property
    def under_way(self) -> bool:
        """Whether another rollout has to wait."""
        return self.phase in (Phase.PREPARING, Phase.RAMPING)

    @property
    def at_step(self) -> Step:
        """The step that it is at."""
        return self.plan.steps[self.step]

    def decided(self, decision: Decision, **changes: object) -> "RolloutState":
        """Return the state after a decision."""
        decisions = (*self.decisions, decision)[-MOST_DECISIONS:]
        fields = {**dict(self), **changes, "phase": decision.phase, "decisions": decisions}
        return type(self)(**fields)
