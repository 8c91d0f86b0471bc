"""What an erasure did, for whoever has to show it: a file of JSON that names no person."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from recsys.core.durable import replace_durably
from recsys.core.settings import FrozenModel


class PlaceProof(FrozenModel):
    """One place."""

    place: str
    """What it is."""
    address: str
    """Where it is."""
    removed: Mapping[str, int]
    """How much of what was removed this time."""
    left: Mapping[str, int]
    """Where a name was still found afterwards, and how many times; empty: nowhere."""


class Proof(FrozenModel):
    """An erasure, place by place."""

    format: Literal["marquee-erasure"] = "marquee-erasure"
    format_version: Literal[1] = 1
    person: str
    """SHA-256 of the person's tombstone: whoever knows the id can tell that it is they, nobody else."""
    erased_until_s: float
    """Unix time up to which everything was erased."""
    finished_s: float
    """When the search was over."""
    n_names: int
    """Under so many names the person was looked for."""
    searched_bytes_for: int
    """So many of them are long enough to be looked for in the bytes of all files, whatever stands there."""
    places: tuple[PlaceProof, ...]
    """In the order in which they were gone through."""
    bundles: tuple[str, ...]
    """Made before the erasure: the person is among those they were fitted on, until they are retired."""
    complete: bool
    """Whether no place names the person any more."""

    def write(self, path: Path) -> None:
        """Write it whole or not at all, for its owner alone to read."""
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_durably(path, self.model_dump_json(indent=2).encode() + b"\n", mode=0o600)
