"""What a tracking server is told, whoever keeps it.

Everything may be told twice: runs have keys of their own, a bundle has one version, an alias names one. So
after an outage, or a resumed sweep, all of it is simply told again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

Parameter = bool | int | float | str | None
"""What a run was begun with."""


class How(StrEnum):
    """How a run ended."""

    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"
    """Cut off; it may begin anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A piece of work."""

    key: str  # its own for ever; told again, it is the same run
    name: str  # for people
    parent: str | None = None  # key of the run that it belongs to, told before
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    name: str
    value: float
    step: int = 0  # how far the run was: trees, trials


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a run."""

    how: How
    seconds: float = 0.0  # from its beginning
    figures: Sequence[Figure] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A bundle as a version of a registered model."""

    bundle: str  # its name; the content stays in our registry
    run: str  # key of the run that made it
    tags: Mapping[str, str] = field(default_factory=dict)


class Tracking(Protocol):
    """Where runs, versions and aliases are kept.

    Every method raises UnavailableError when that place is down or refuses.
    """

    def begin(self, run: Run, *, again: bool = False) -> None:
        """Note that a run is at work. One that is over stays so, unless killed, or told ``again``."""
        ...

    def end(self, key: str, result: Result) -> None:
        """Note what came of a run that has begun; one that is over stays as it is."""
        ...

    def files(self, key: str, texts: Mapping[str, str]) -> None:
        """Keep texts with a run, by path; what had this path before is replaced."""
        ...

    def register(self, version: Version) -> None:
        """Note a bundle as the newest version of the model; one that is known stays as it is."""
        ...

    def name(self, aliases: Mapping[str, str | None]) -> None:
        """Let each alias of the model name the version of a bundle; none where there is no such bundle."""
        ...


Action = Callable[[Tracking], None]
"""Tells one thing; telling it twice does no harm."""

Tell = Callable[[Action], None]
"""Takes what is to be told; it never fails, and hardly ever waits."""


def untold(action: Action) -> None:
    """Tell nobody: a :data:`Tell` for when nothing is tracked."""
    del action
