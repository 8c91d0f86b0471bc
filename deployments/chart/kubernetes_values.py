"""The parts of a chart's values that are Kubernetes' own, as far as this chart hands them on."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, NonNegativeFloat, NonNegativeInt
from pydantic.alias_generators import to_camel

from recsys.core.settings import FrozenModel

Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$")] | NonNegativeFloat
"""``250m`` cores, ``2Gi`` of memory."""

Schedule = Annotated[str, Field(pattern=r"^(@(hourly|daily|weekly|monthly)|(\S+ ){4}\S+)?$")]
"""As for cron; empty: never."""

Labels = dict[str, str]

ObjectName = Annotated[str, Field(pattern=r"^([a-z]([-a-z0-9]*[a-z0-9])?)?$")]
"""As Services are named; too long a one is cut."""


class ChartModel(FrozenModel):
    """A group of values, named as Helm's users expect: ``likeThis``."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)


class Amounts(ChartModel):
    """So much of a machine."""

    cpu: Quantity | None = None
    """Cores."""
    memory: Quantity | None = None
    """Bytes."""
    ephemeral_storage: Annotated[Quantity | None, Field(alias="ephemeral-storage")] = None
    """Bytes of the node's disk."""


class Resources(ChartModel):
    """What a container asks for, and what it may take at most."""

    requests: Amounts = Amounts()
    """It is not started where there is less."""
    limits: Amounts = Amounts()
    """It gets no more."""


class Capabilities(ChartModel):
    """Rights of the superuser."""

    add: tuple[str, ...] | None = None
    """Given."""
    drop: tuple[str, ...] | None = None
    """Taken away."""


class Profile(ChartModel):
    """Which system calls are allowed."""

    type: Literal["RuntimeDefault", "Localhost", "Unconfined"] = "RuntimeDefault"
    """The container runtime's own list, one on the node, or all."""
    localhost_profile: str | None = None
    """File on the node."""


class PodSecurity(ChartModel):
    """How all containers of a pod run."""

    run_as_non_root: bool | None = None
    """Refuse to run as the superuser."""
    run_as_user: NonNegativeInt | None = None
    """User id."""
    run_as_group: NonNegativeInt | None = None
    """Group id."""
    fs_group: NonNegativeInt | None = None
    """Volumes are made to belong to this group."""
    fs_group_change_policy: Literal["OnRootMismatch", "Always"] | None = None
    """How eagerly."""
    supplemental_groups: tuple[NonNegativeInt, ...] | None = None
    """Further groups."""
    seccomp_profile: Profile | None = None
    """System calls."""


class ContainerSecurity(ChartModel):
    """How each container runs."""

    allow_privilege_escalation: bool | None = None
    """Whether a program may become more than its parent."""
    read_only_root_filesystem: bool | None = None
    """Whether only volumes can be written."""
    run_as_non_root: bool | None = None
    """Refuse to run as the superuser."""
    run_as_user: NonNegativeInt | None = None
    """User id."""
    run_as_group: NonNegativeInt | None = None
    """Group id."""
    capabilities: Capabilities | None = None
    """Rights of the superuser."""
    seccomp_profile: Profile | None = None
    """System calls."""


class Toleration(ChartModel):
    """A taint of a node that is no obstacle."""

    key: str | None = None
    """Of the taint."""
    operator: Literal["Exists", "Equal"] | None = None
    """How it is compared."""
    value: str | None = None
    """Of the taint."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """What the taint does."""
    toleration_seconds: NonNegativeInt | None = None
    """How long."""


class LocalName(ChartModel):
    """An object in the same namespace."""

    name: str
    """Its name."""


class Variable(ChartModel):
    """An environment variable."""

    name: str = Field(min_length=1)
    """Its name."""
    value: str
    """A string: quote numbers."""


class KeyOf(ChartModel):
    """A key of a Secret or of a ConfigMap."""

    name: str
    """Of the object."""
    key: str
    """In it."""
    optional: bool | None = None
    """Whether it may be missing."""


class ValueFrom(ChartModel):
    """Where a value is."""

    secret_key_ref: KeyOf | None = None
    """In a Secret."""
    config_map_key_ref: KeyOf | None = None
    """In a ConfigMap."""


class EnvironmentVariable(ChartModel):
    """An environment variable, or where its value is."""

    name: str = Field(min_length=1)
    """Its name."""
    value: str | None = None
    """A string: quote numbers."""
    value_from: ValueFrom | None = None
    """Instead of a value."""


class SourceName(LocalName):
    """An object whose keys become environment variables."""

    optional: bool | None = None
    """Whether it may be missing."""


class EnvironmentSource(ChartModel):
    """What becomes environment variables."""

    prefix: str | None = None
    """Before each name."""
    secret_ref: SourceName | None = None
    """A Secret."""
    config_map_ref: SourceName | None = None
    """A ConfigMap."""
