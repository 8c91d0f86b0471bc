"""The traffic document: which lane serves which bundle, and which share of users goes where.

Small, versioned, replaced as a whole. A document that contradicts itself cannot be made, so whoever holds one
can serve by it.
"""

from typing import Literal, Self

from pydantic import Field, PositiveInt, ValidationError, field_validator, model_validator

from recsys.core.errors import FieldError, NotFoundError
from recsys.core.settings import FrozenModel
from recsys.experiments.assignment import check_shares
from recsys.rollout.asked import Asked
from recsys.rollout.names import LANES, ROLLOUT_EXPERIMENT, STABLE, BundleName, Name
from recsys.rollout.state import RolloutState


class Arm(FrozenModel):
    """What users are assigned to in a rollout."""

    arm: Name
    """Its name, for example ``stable`` or ``canary``."""
    lane: Name
    """The lane that serves it."""
    share: float = Field(ge=0, le=1)
    """Which part of the users belongs to it; 0 keeps the arm ready for overrides alone."""


class Knobs(FrozenModel):
    """What an arm of an experiment changes about the lists; None leaves it as it is."""

    variety: float | None = Field(default=None, ge=0, le=1)
    """Weight of unlikeness in reranking, for requests that do not say themselves."""
    explore: float | None = Field(default=None, ge=0, le=1)
    """Share of lists that explore, in place of the bundle's own."""

    @property
    def turned(self) -> dict[str, float]:
        """The knobs that are not left as they are."""
        return {name: value for name, value in dict(self).items() if value is not None}


class ExperimentArm(FrozenModel):
    """What users are assigned to in an experiment."""

    arm: Name
    share: float = Field(ge=0, le=1)
    knobs: Knobs = Knobs()


class Experiment(FrozenModel):
    """A comparison of fixed shares, besides the rollout and independent of it and of all others."""

    name: Name
    salt: str = Field(min_length=1, max_length=128)
    """Deals the users to the arms."""
    arms: tuple[ExperimentArm, ...] = Field(min_length=2)
    """The first is the control."""
    started_s: float = Field(ge=0)
    """When it began, Unix time."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.name == ROLLOUT_EXPERIMENT:
            raise ValueError(f"no experiment is called {ROLLOUT_EXPERIMENT}")
        _check_names([arm.arm for arm in self.arms])
        _check_shares([arm.share for arm in self.arms])
        return self

    @property
    def turned(self) -> set[str]:
        """The knobs that any of its arms turns."""
        return {name for arm in self.arms for name in arm.knobs.turned}


class Shadow(FrozenModel):
    """A lane that is asked what the answering lane is asked; nobody sees what it says."""

    lane: Name
    share: float = Field(gt=0, le=1)
    """Of the requests."""


class Interleaving(FrozenModel):
    """A lane that takes turns with the one of the first arm in the lists of some users."""

    lane: Name
    share: float = Field(gt=0, le=1)
    """Of the users of the first arm."""


class Kill(FrozenModel):
    """An arm that nobody may be in, whatever shares and overrides say."""

    at_s: float = Field(ge=0)
    by: str
    why: str = ""


class TrafficDocument(FrozenModel):
    """Which lane serves which bundle, and which share of users goes to which arm."""

    format: Literal["marquee-traffic"] = "marquee-traffic"
    format_version: Literal[1, 2] = 2
    version: PositiveInt
    """One more with every change."""
    lanes: dict[Name, BundleName | None]
    """Lane -> the bundle it serves; None when it is idle."""
    arms: tuple[Arm, ...] = Field(min_length=1)
    """In the order in which they lie on the hash, so that share moves between neighbours; together 1."""
    salt: str = Field(min_length=1, max_length=128)
    """Deals the users to the arms; another one deals them anew."""
    overrides: dict[str, Name] = Field(default_factory=dict)
    """User id -> arm, whatever their hash says; such users are kept out of statistics. One who is sent to an
    arm that is not there is dealt like all others."""
    experiments: tuple[Experiment, ...] = ()
    """Under way, besides the rollout."""
    shadow: Shadow | None = None
    """The lane that works unseen."""
    interleaving: Interleaving | None = None
    """The lane that takes turns."""
    killed: dict[str, Kill] = Field(default_factory=dict)
    """Arms that nobody may be in: ``canary``, or ``<experiment>/<arm>``; their users get the first arm. Only
    people write here: what the controller writes carries it on."""
    rollout: RolloutState | None = None
    """The rollout that is under way, or the last one."""
    asked: Asked = Asked()
    """What was made of the wishes in Helm's values."""
    updated_s: float = Field(ge=0)
    """When this version was made, Unix time."""
    updated_by: str = ""
    """Who made it: a person, or the rollout controller."""

    @field_validator("format_version")
    @classmethod
    def _upgraded(cls, version: int) -> int:
        return max(version, 2)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        _check_names([arm.arm for arm in self.arms])
        for arm in self.arms:
            if self.lanes.get(arm.lane) is None:
                raise ValueError(f"arm {arm.arm} is served by lane {arm.lane}, which has no bundle")
        _check_shares([arm.share for arm in self.arms])
        if self.arms[0].arm in self.killed:
            raise ValueError(f"arm {self.arms[0].arm} is where the users of killed arms go")
        if self.shadow is not None and self.lanes.get(self.shadow.lane) is None:
            raise ValueError(f"the shadow is served by lane {self.shadow.lane}, which has no bundle")
        if self.interleaving is not None and self.lanes.get(self.interleaving.lane) is None:
            raise ValueError(f"lane {self.interleaving.lane} takes turns and has no bundle")
        self._check_experiments()
        return self

    def _check_experiments(self) -> None:
        turned: dict[str, str] = {}
        for experiment in self.experiments:
            for knob in experiment.turned:
                if knob in turned:
                    raise ValueError(f"{turned[knob]} and {experiment.name} both turn {knob}")
            turned |= dict.fromkeys(experiment.turned, experiment.name)
            if f"{experiment.name}/{experiment.arms[0].arm}" in self.killed:
                raise ValueError(f"the control of {experiment.name} is where users of its killed arms go")
        names = [experiment.name for experiment in self.experiments]
        if len(set(names)) < len(names):
            raise ValueError(f"experiments have one name each, not {', '.join(names)}")

    @property
    def shares(self) -> dict[str, float]:
        """The share of every arm, in the order of the arms."""
        return {arm.arm: arm.share for arm in self.arms}

    def bundle_of(self, arm: Arm) -> str:
        """Return the bundle that an arm is served.

        Raises:
            NotFoundError: it is no arm of this document, and its lane has none.
        """
        bundle = self.lanes.get(arm.lane)
        if bundle is None:
            raise NotFoundError("bundle in lane", arm.lane)
        return bundle

    def successor(self, *, updated_s: float, updated_by: str, **changes: object) -> Self:
        """Return the next version with some fields changed.

        Raises:
            FieldError: the changed document contradicts itself.
        """
        fields = {**dict(self), "updated_s": updated_s, "updated_by": updated_by, **changes}
        try:
            return type(self).model_validate({**fields, "version": self.version + 1})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in ("traffic", *first["loc"]))
            got = str(first["input"])[:80] if first["loc"] else f"other {', '.join(changes)}"
            raise FieldError(where, got, first["msg"].removeprefix("Value error, ")) from error


def first_document(
    bundle: str, *, salt: str, updated_s: float, updated_by: str = "", asked: Asked | None = None
) -> TrafficDocument:
    """Return version 1: everybody in the arm ``stable`` on the first lane, the other idle."""
    return TrafficDocument(
        version=1,
        lanes={lane: bundle if lane == LANES[0] else None for lane in LANES},
        arms=(Arm(arm=STABLE, lane=LANES[0], share=1.0),),
        salt=salt,
        asked=asked or Asked(),
        updated_s=updated_s,
        updated_by=updated_by,
    )


def _check_names(names: list[str]) -> None:
    if len(set(names)) < len(names):
        raise ValueError(f"arms have one name each, not {', '.join(names)}")


def _check_shares(shares: list[float]) -> None:
    try:
        check_shares(shares)
    except FieldError as error:
        raise ValueError(str(error)) from error
