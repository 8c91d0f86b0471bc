"""What an experiment is to compare, and how it will be judged. Written by people, in TOML or as options."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt, ValidationError

from recsys.core.errors import DataFormatError, FieldError
from recsys.core.settings import FrozenModel
from recsys.experiments.design import ExperimentDesign, Metric
from recsys.experiments.units import as_metric
from recsys.experiments.user_tables import ACTIVITY, CONTEXT
from recsys.rollout.names import Name
from recsys.rollout.traffic import Experiment, ExperimentArm, Knobs


def _metric(value: object) -> object:
    """Accept a metric's name, or a table with its name and tolerance; which way is up is known."""
    if isinstance(value, str):
        return as_metric(value)
    if isinstance(value, Mapping) and "better" not in value and isinstance(value.get("name"), str):
        return {**value, "better": as_metric(value["name"]).better}
    return value


AnyMetric = Annotated[Metric, BeforeValidator(_metric)]


class ArmPlan(Knobs):
    """An arm: its users, and what it changes."""

    share: float = Field(ge=0, le=1)
    """Of the users."""

    @property
    def knobs(self) -> Knobs:
        """What it changes, alone."""
        return Knobs(**self.model_dump(include=set(Knobs.model_fields)))


class ExperimentPlan(FrozenModel):
    """Everything about an experiment but its name and when it begins."""

    arms: dict[Name, ArmPlan]
    """The first is the control; shares are 1 together."""
    primary: AnyMetric = Metric(name="watch_rate")
    """The one metric that decides."""
    further: tuple[AnyMetric, ...] = ()
    """Reported beside it."""
    guardrails: tuple[AnyMetric, ...] = ()
    """What may not worsen by more than its tolerance."""
    segments: tuple[str, ...] = (CONTEXT, ACTIVITY)
    """Of users, to look at apart."""
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """How probable it may be that any arm is said to differ although none does."""
    planned_users: PositiveInt = 10_000
    """Of all arms together; intervals are narrowest there."""
    minimum_effect: PositiveFloat = 0.01
    """The smallest difference in the primary metric that matters, in its unit."""

    def experiment(self, name: str, started_s: float) -> Experiment:
        """Return what the traffic document is to deal.

        Raises:
            FieldError: it contradicts itself.
        """
        try:
            return Experiment(
                name=name,
                salt=f"{name}-{started_s:.3f}",  # the same name another time deals other users
                arms=tuple(
                    ExperimentArm(arm=arm, share=plan.share, knobs=plan.knobs)
                    for arm, plan in self.arms.items()
                ),
                started_s=started_s,
            )
        except ValidationError as error:
            _refuse("experiment", error)

    def design(self, name: str) -> ExperimentDesign:
        """Return how it will be judged; arms without users are not compared.

        Raises:
            FieldError: it contradicts itself.
        """
        try:
            return ExperimentDesign(
                name=name,
                arms={arm: plan.share for arm, plan in self.arms.items() if plan.share > 0.0},
                control=next(iter(self.arms), ""),
                primary=self.primary,
                further=self.further,
                guardrails=self.guardrails,
                segments=self.segments,
                alpha=self.alpha,
                planned_users=self.planned_users,
                minimum_effect=self.minimum_effect,
            )
        except ValidationError as error:
            _refuse("design", error)


def plan_of(fields: Mapping[str, Any]) -> ExperimentPlan:
    """Return a plan from what people wrote.

    Raises:
        FieldError: it is none; names the first field that is wrong.
        NotFoundError: there is no such metric.
    """
    try:
        return ExperimentPlan.model_validate(fields)
    except ValidationError as error:
        _refuse("plan", error)


def read_plan_fields(path: Path) -> dict[str, Any]:
    """Read the fields of a plan from a TOML file.

    Raises:
        DataFormatError: it cannot be read as TOML.
    """
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise DataFormatError(path, "the plan of an experiment", "no such file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataFormatError(path, "the plan of an experiment in TOML", str(error)) from error


def arm_of(text: str) -> tuple[str, dict[str, float]]:
    """Return name and fields of an arm that is written ``name=share`` or ``name=share:knob=value,...``.

    Raises:
        FieldError: it is written otherwise.

    >>> arm_of("varied=0.5:variety=0.3")
    ('varied', {'share': 0.5, 'variety': 0.3})
    """
    head, _, knobs = text.partition(":")
    parts = [head, *(knobs.split(",") if knobs else [])]
    try:
        (name, share), *turned = [(part.split("=")[0], float(part.split("=")[1])) for part in parts]
    except (ValueError, IndexError) as error:
        raise FieldError("--arm", text, "like control=0.5 or varied=0.5:variety=0.3") from error
    return name, {"share": share, **dict(turned)}


def _refuse(what: str, error: ValidationError) -> NoReturn:
    first = error.errors()[0]
    where = ".".join(str(part) for part in (what, *first["loc"]))
    raise FieldError(where, str(first["input"])[:80], first["msg"]) from error
