"""Where the commands find things when they are not told: in one folder, which ``MARQUEE_HOME`` names."""

import os
from pathlib import Path
from typing import Annotated, Final

import typer

HOME: Final = "MARQUEE_HOME"
_USUAL: Final = ".marquee"


def registry_at_home() -> Path:
    """Return the folder of the registry."""
    return _home() / "registry"


def exposures_at_home() -> Path:
    """Return the folder of the exposures."""
    return _home() / "exposures"


def events_at_home() -> Path:
    """Return the folder of the event log."""
    return _home() / "events"


def _home() -> Path:
    return Path(os.environ.get(HOME) or _USUAL)


RegistryOption = Annotated[
    Path,
    typer.Option(
        "--registry",
        envvar="MARQUEE_REGISTRY",
        default_factory=registry_at_home,
        show_default=f"registry in {HOME} or {_USUAL}",
        help="Folder of the registry.",
    ),
]
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
