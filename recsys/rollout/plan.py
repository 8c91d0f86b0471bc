"""What a rollout is to do: steps, guardrails, patience. Written by people, in TOML."""

import tomllib
from pathlib import Path
from typing import Final

from pydantic import Field, NonNegativeInt, ValidationError, model_validator

from recsys.core.durations import Duration
from recsys.core.errors import DataFormatError
from recsys.core.settings import FrozenModel
from recsys.experiments.guardrails import Guardrail


class Step(FrozenModel):
    """How far the canary goes, and what it takes to go further."""

    share: float = Field(ge=0, le=1)
    """Which part of the users it gets; 0 needs ``shadow`` or ``interleave``."""
    shadow: float = Field(default=0.0, ge=0, le=1)
    """Which part of the stable arm's requests it is also asked, its answer unused."""
    interleave: float = Field(default=0.0, ge=0, le=1)
    """Which part of the users gets lists in which it takes turns with the stable bundle, while share is 0."""
    min_time: Duration = 60.0
    """So long at least, in seconds."""
    min_exposures: NonNegativeInt = 0
    """So many answers by the canary at least; where guardrails judge what users do, so many whose lists are
    known to them: exposures reach the disk seconds after the answers are counted."""


class RolloutPlan(FrozenModel):
    """How a bundle comes to all users."""

    steps: tuple[Step, ...] = Field(min_length=1)
    """One after another; behind the last the bundle is promoted."""
    guardrails: tuple[Guardrail, ...] = ()
    """What takes it back."""
    hold: Duration = 3_600.0
    """How long the old bundle stays loaded after the promotion: so long the way back is instant."""
    promote: bool = True
    """False: the last step lasts until somebody promotes or aborts; a comparison of fixed shares."""
    max_age: Duration = 60.0
    """Measurements that are older say nothing: the rollout holds."""
    blind_for: Duration = 900.0
    """After so long without measurements the canary is taken back; nobody watches it."""
    prepare_for: Duration = 600.0
    """How long lanes may take to load the bundle."""

    @model_validator(mode="after")
    def _ramps(self) -> "RolloutPlan":
        shares = [step.share for step in self.steps]
        if shares != sorted(shares):
            raise ValueError(f"shares rise from step to step, not {', '.join(f'{one:g}' for one in shares)}")
        for step in self.steps:
            if step.share == 0 and step.shadow == 0 and step.interleave == 0:
                raise ValueError("a step with share 0 has shadow or interleave, or it would measure nothing")
            if step.share > 0 and step.interleave > 0:
                raise ValueError("lists are interleaved while the canary has no users of its own: share 0")
        return self


DEFAULT_PLAN: Final = RolloutPlan(
    steps=tuple(
        Step(share=share, min_time=600.0, min_exposures=500) for share in (0.01, 0.05, 0.25, 0.5, 1.0)
    ),
    guardrails=(
        Guardrail(metric="error_share", compare="difference", limit=0.002),
        Guardrail(metric="degraded_share", compare="difference", limit=0.005),
        Guardrail(metric="short_share", compare="difference", limit=0.01),
        Guardrail(metric="empty_share", compare="difference", limit=0.001),
        Guardrail(metric="answer_p95", compare="ratio", limit=1.5),
        Guardrail(metric="answer_p99", compare="ratio", limit=2.0, min_sample=1_000),
    ),
)
"""A canary that is watched by what the service itself counts."""


def read_plan(path: Path) -> RolloutPlan:
    """Read a plan from a TOML file.

    Raises:
        DataFormatError: it is no plan; names the field.
    """
    try:
        return RolloutPlan.model_validate(tomllib.loads(path.read_text()))
    except FileNotFoundError as error:
        raise DataFormatError(path, "a rollout plan", "no such file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataFormatError(path, "a rollout plan in TOML", str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "plan"
        raise DataFormatError(path, "a rollout plan", f"{where}: {first['msg']}") from error
