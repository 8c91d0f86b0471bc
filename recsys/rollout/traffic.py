"""The traffic document: which lane serves which bundle, and which share of users goes where.

Small, versioned, replaced as a whole. A document that contradicts itself cannot be made, so whoever holds one
can serve by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt, ValidationError, model_validator

from recsys.core.errors import FieldError, NotFoundError
from recsys.core.settings import FrozenModel
from recsys.experiments.assignment import assign_many, check_shares
from recsys.registry.manifest import NAME_PATTERN

LANES = ("blue", "green")
ROLLOUT_EXPERIMENT = "rollout"  # the name under which users are dealt to the arms of a rollout

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
BundleName = Annotated[str, Field(pattern=NAME_PATTERN)]


class Arm(FrozenModel):
    """What users are assigned to."""

    arm: Name
    """Its name, for example ``stable`` or ``canary``."""
    lane: Name
    """The lane that serves it."""
    share: float = Field(ge=0, le=1)
    """Which part of the users belongs to it; 0 keeps the arm ready for overrides alone."""


class TrafficDocument(FrozenModel):
    """Which lane serves which bundle, and which share of users goes to which arm."""

    format: Literal["marquee-traffic"] = "marquee-traffic"
    format_version: Literal[1] = 1
    version: PositiveInt
    """One more with every change."""
    lanes: dict[Name, BundleName | None]
    """Lane -> the bundle it serves; None when it is idle."""
    arms: tuple[Arm, ...] = Field(min_length=1)
    """In the order in which they lie on the hash, so that share moves between neighbours; together 1."""
    salt: str = Field(min_length=1, max_length=128)
    """Deals the users to the arms; another one deals them anew."""
    overrides: dict[str, Name] = Field(default_factory=dict)
    """User id -> arm, whatever their hash says; such users are kept out of statistics."""
    updated_s: float = Field(ge=0)
    """When this version was made, Unix time."""
    updated_by: str = ""
    """Who made it: a person, or the rollout controller."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        names = [arm.arm for arm in self.arms]
        if len(set(names)) < len(names):
            raise ValueError(f"arms have one name each, not {', '.join(names)}")
        for arm in self.arms:
            if self.lanes.get(arm.lane) is None:
                raise ValueError(f"arm {arm.arm} is served by lane {arm.lane}, which has no bundle")
        for user_id, name in self.overrides.items():
            if name not in names:
                raise ValueError(f"user {user_id!r} is sent to arm {name}, which does not exist")
        try:
            check_shares([arm.share for arm in self.arms])
        except FieldError as error:
            raise ValueError(str(error)) from error
        return self

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
        fields = {**self.model_dump(), "updated_s": updated_s, "updated_by": updated_by, **changes}
        try:
            return type(self).model_validate({**fields, "version": self.version + 1})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in ("traffic", *first["loc"]))
            raise FieldError(where, str(first["input"])[:80], first["msg"]) from error


def first_document(bundle: str, *, salt: str, updated_s: float, updated_by: str = "") -> TrafficDocument:
    """Return version 1: everybody in the arm ``stable`` on the first lane, the other idle."""
    return TrafficDocument(
        version=1,
        lanes={lane: bundle if lane == LANES[0] else None for lane in LANES},
        arms=(Arm(arm="stable", lane=LANES[0], share=1.0),),
        salt=salt,
        updated_s=updated_s,
        updated_by=updated_by,
    )


@dataclass(frozen=True, slots=True)
class Dealt:
    """The arms of some users."""

    arm_rows: NDArray[np.intp]  # shape (users,): rows of the document's arms
    overridden: NDArray[np.bool_]  # shape (users,): sent there by name, not by chance; not for statistics


def deal(document: TrafficDocument, user_ids: Sequence[str]) -> Dealt:
    """Return the arm of every user: overrides by name, all others by their hash."""
    rows = assign_many(ROLLOUT_EXPERIMENT, user_ids, document.shares, salt=document.salt)
    overridden = np.zeros(len(user_ids), dtype=np.bool_)
    if document.overrides:
        row_of = {arm.arm: row for row, arm in enumerate(document.arms)}
        for position, user_id in enumerate(user_ids):
            if (name := document.overrides.get(user_id)) is not None:
                rows[position], overridden[position] = row_of[name], True
    return Dealt(rows, overridden)
