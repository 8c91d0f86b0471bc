"""What is searched, for what, on which questions and for how long: one closed TOML file."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, ValidationError, model_validator

from recsys.core.errors import DataFormatError, FieldError
from recsys.core.settings import FrozenModel
from recsys.evaluation.protocols import Protocol
from recsys.training.two_stage import TrainingConfig
from tuning.objectives import OF_RECALL_ALONE, Objective, Step
from tuning.ranges import Between, Range, Space
from tuning.settings_paths import Setting, all_paths, with_settings

READY = ("quick", "standard", "thorough")
"""Sweeps that come with the package."""

_OF_STEP = {
    Step.RECALL: ("knowledge.", "n_candidates", "max_tags"),
    Step.RANKER: ("boosting.", "reranking."),
    Step.JOINT: ("",),
}
"""How the paths of a step begin: the ranker's trials share what recall has made, so they cannot change it."""


class Questions(FrozenModel):
    """Who is asked; all of it lies before what the test holds out."""

    protocol: Protocol = Protocol.LEAVE_LAST_OUT
    """``leave-last-out``: each user's last position but one; ``global-time``: the newest part of the past."""

    test_share: float = Field(default=0.1, gt=0.0, lt=1.0)
    """global-time: the newest part of all positions is the test, the same part of the rest is validation."""

    max_users: PositiveInt = 2_000
    """Ask at most so many, chosen at random."""


class Objectives(FrozenModel):
    """What each step looks for: the first decides, the others span the Pareto front with it."""

    recall: tuple[Objective, ...] = Field(default=(Objective.CANDIDATES,), min_length=1)
    ranker: tuple[Objective, ...] = Field(default=(Objective.NDCG,), min_length=1)
    joint: tuple[Objective, ...] = Field(default=(Objective.NDCG,), min_length=1)

    def of(self, step: Step) -> tuple[Objective, ...]:
        """Return the objectives of one step."""
        found: tuple[Objective, ...] = getattr(self, step.value)
        return found

    @model_validator(mode="after")
    def _measurable(self) -> Self:
        for objective in self.recall:
            if objective not in OF_RECALL_ALONE:
                known = ", ".join(OF_RECALL_ALONE)
                raise ValueError(f"recall alone has no {objective.value}; it has {known}")
        for step in Step:
            if len(set(self.of(step))) < len(self.of(step)):
                raise ValueError(f"{step.value} names an objective twice")
        return self


class Shares(FrozenModel):
    """How the steps that there are divide trials and minutes among them."""

    recall: PositiveFloat = 1.0
    ranker: PositiveFloat = 2.0
    joint: PositiveFloat = 1.0

    def of(self, step: Step) -> float:
        """Return the share of one step."""
        return float(getattr(self, step.value))


class Budget(FrozenModel):
    """What the search may cost; the refit comes on top."""

    trials: PositiveInt = 40
    """In all steps together; at least one each."""

    minutes: PositiveFloat = 40.0
    """In all steps together; what is left of one step is for the next."""

    concurrent: PositiveInt = 2
    """Trials side by side, a core each."""

    shares: Shares = Shares()
    """Of trials and minutes."""

    look_every_trees: PositiveInt = 50
    """After so many trees NDCG@10 is taken, and a trial may be stopped."""

    grace_trees: PositiveInt = 100
    """No trial is stopped before."""

    reduction: float = Field(default=3.0, gt=1.0)
    """Of the trials that get so far, one in this many goes on at each level.

    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning" (ASHA), MLSys 2020.
    """

    tries: int = Field(default=2, ge=1, le=5)
    """How often a trial is begun whose process dies."""


class Spaces(FrozenModel):
    """What each step may change."""

    recall: Space = Field(default_factory=dict)
    ranker: Space = Field(default_factory=dict)
    joint: Space = Field(default_factory=dict)

    def of(self, step: Step) -> Space:
        """Return the ranges of one step."""
        found: Space = getattr(self, step.value)
        return found


class Sweep(FrozenModel):
    """The whole file."""

    data: Questions = Questions()
    objectives: Objectives = Objectives()
    budget: Budget = Budget()
    fixed: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Settings that differ from the defaults in every trial."""
    space: Spaces
    """Ranges by path, for each step; a step without any is left out."""
    seed: NonNegativeInt = 0
    """Of the search, of the questions and of every training."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """Return the steps that have something to search, in order."""
        return tuple(step for step in Step if self.space.of(step))

    @property
    def base(self) -> TrainingConfig:
        """Return the settings that every trial begins with."""
        return with_settings(TrainingConfig(seed=self.seed), self.fixed)

    def trials_of(self, step: Step) -> int:
        """Return how many trials one step has."""
        whole = sum(self.budget.shares.of(each) for each in self.steps)
        return max(1, round(self.budget.trials * self.budget.shares.of(step) / whole))


def read_sweep(name: str) -> Sweep:
    """Return a sweep that comes with the package, or that of a TOML file.

    Raises:
        DataFormatError: there is no such sweep, or it is not TOML.
        FieldError: a path is unknown (the nearest known one is named), a value out of range, a key misspelt.
    """
    ready = files("tuning") / "sweeps" / f"{name}.toml"
    source = ready if name in READY else Path(name)
    if not source.is_file():
        raise DataFormatError(name, f"a TOML file, or one of {', '.join(READY)}", "nothing")
    try:
        given = tomllib.loads(source.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataFormatError(name, "TOML", str(error)) from error
    return checked_sweep(given)


def checked_sweep(given: Mapping[str, Any]) -> Sweep:
    """Return the sweep of a parsed file, every path and bound held against the settings' own models.

    Raises:
        FieldError: the first thing that is wrong.
    """
    try:
        sweep = Sweep.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "sweep"
        raise FieldError(field, repr(first["input"])[:80], first["msg"]) from error
    if not sweep.steps:
        raise FieldError(
            "space", "no range at all", "paths under [space.recall], [space.ranker] or [space.joint]"
        )
    known = all_paths(sweep.base)
    for step in sweep.steps:
        for path, values in sweep.space.of(step).items():
            _check_range(sweep.base, step, path, values, known)
    return sweep


def _check_range(
    base: TrainingConfig, step: Step, path: str, values: Range, known: Mapping[str, Setting]
) -> None:
    if path in known and not path.startswith(_OF_STEP[step]):
        right = ", ".join(each.value for each in Step if path.startswith(_OF_STEP[each]))
        raise FieldError(f"space.{step.value}.{path}", "a path of another step", f"it under {right}")
    for value in values.ends:
        try:
            with_settings(base, {path: value})
        except FieldError as error:
            raise FieldError(f"space.{step.value}.{error.field}", error.got, error.expected) from error
    if isinstance(values, Between) and not values.suits(known[path]):
        got = f"{values.low} to {values.high}"
        raise FieldError(f"space.{step.value}.{path}", got, f"a range for {known[path]!r}")
