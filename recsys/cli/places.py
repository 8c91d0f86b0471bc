"""Where the commands find things when they are not told: in one folder, which ``MARQUEE_HOME`` names."""

import os
from pathlib import Path
from typing import Annotated, Final

import typer

HOME: Final = "MARQUEE_HOME"
_USUAL: Final = ".marquee"


def registry_at_home() -> str:
    """Return the folder of the registry."""
    return str(home() / "registry")


def exposures_at_home() -> Path:
    """Return the folder of the exposures."""
    return home() / "exposures"


def events_at_home() -> Path:
    """Return the folder of the event log."""
    return home() / "events"


def lake_at_home() -> str:
    """Return the folder of the lake."""
    return str(home() / "lake")


def state_at_home() -> str:
    """Return the url of the user state."""
    return f"sqlite:///{(home() / 'state.db').absolute()}"


def home() -> Path:
    """Return the folder that everything is kept in unless something else is said."""
    return Path(os.environ.get(HOME) or _USUAL)


RegistryOption = Annotated[
    str,
    typer.Option(
        "--registry",
        envvar="MARQUEE_REGISTRY",
        default_factory=registry_at_home,
        show_default=f"registry in {HOME} or {_USUAL}",
        help="The registry: a folder, or s3://bucket/prefix and the like.",
    ),
]
RegistryBesideOption = Annotated[
    str | None,
    typer.Option(
        "--registry",
        envvar="MARQUEE_REGISTRY",
        show_default="HOME/registry",
        help="The registry: a folder, or s3://bucket/prefix and the like.",
    ),
]
"""For commands that are told a home: beside everything else when it is not named."""
ExposuresOption = Annotated[
    Path,
    typer.Option(
        "--folder",
        default_factory=exposures_at_home,
        show_default=f"exposures in {HOME} or {_USUAL}",
        help="Where the exposures are.",
    ),
]
EventsOption = Annotated[
    Path,
    typer.Option(
        "--events",
        default_factory=events_at_home,
        show_default=f"events in {HOME} or {_USUAL}",
        help="The event log, which knows who asked.",
    ),
]
EventLogOption = Annotated[
    str | None,
    typer.Option(
        "--event-log",
        envvar="MARQUEE_EVENT_LOG",
        help="Where events go first: kafka://HOST:PORT/PREFIX (see marquee ingest); else HOME/events.",
    ),
]
StateOption = Annotated[
    str,
    typer.Option(
        "--state",
        default_factory=state_at_home,
        show_default="state.db at home",
        help="User state: sqlite:////path or redis://host:port/0, as for marquee serve.",
    ),
]
LakeOption = Annotated[
    str,
    typer.Option(
        "--lake",
        envvar="MARQUEE_LAKE",
        default_factory=lake_at_home,
        show_default=f"lake in {HOME} or {_USUAL}",
        help="The lake: a folder, or s3://bucket/prefix.",
    ),
]
