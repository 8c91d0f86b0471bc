"""The reference profile of a bundle: what its training data were like, small enough to travel with it.

``drift/profile.json`` holds histograms and what was learned of chance, ``drift/ranks.npy`` one byte per item.
A bundle without them is served like any other; it only cannot be asked whether something has drifted.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, ValidationError

from recsys.core.errors import IncompatibleBundleError, NotFoundError
from recsys.core.settings import FrozenModel
from recsys.drift.bins import Bins
from recsys.drift.coverage import CoverageProfile
from recsys.drift.features import Group
from recsys.drift.item_facts import item_facts
from recsys.drift.null import Null
from recsys.registry.bundle import BundleWriter
from recsys.registry.reader import FolderBundleReader

VERSION: Final = 1
_PROFILE, _RANKS = "drift/profile", "drift/ranks"
_ITEMS = "catalogue/items.parquet"  # where recsys.pipeline.catalogue keeps the catalogue


class FeatureProfile(FrozenModel):
    """One feature, as it was."""

    name: str
    group: Group
    bins: Bins
    counts: tuple[NonNegativeFloat, ...]
    """Values per bin."""
    n_clusters: PositiveInt
    """Pairs of a user and a window that the values are from."""
    null: Null
    """How far windows without drift diverge."""


class Profile(FrozenModel):
    """What a bundle remembers of the time that it was made of."""

    version: Literal[1] = VERSION
    window_s: PositiveFloat
    """How long a window is."""
    first_s: NonNegativeFloat
    until_s: NonNegativeFloat
    """Unix times that the reference lies between."""
    n_windows: PositiveInt
    n_events: NonNegativeInt
    users_per_window: NonNegativeFloat
    """On average."""
    features: tuple[FeatureProfile, ...]
    coverage: CoverageProfile | None
    """Different items among the chosen ones; None where too little happened."""
    served_coverage: CoverageProfile | None = None
    """Different items among the served ones."""
    streams: dict[str, tuple[float, ...]]
    """Feature of engagement -> quantiles of its means per user and window, at even steps from 0 to 1."""

    def feature(self, name: str) -> FeatureProfile | None:
        """Return one feature; None when the reference had nothing of it."""
        return next((feature for feature in self.features if feature.name == name), None)


@dataclass(frozen=True, slots=True)
class Reference:
    """A profile together with the items that it speaks of."""

    profile: Profile
    facts: pl.DataFrame  # as of recsys.drift.item_facts.item_facts
    bundle: str = ""


def save_profile(writer: BundleWriter, profile: Profile, ranks: NDArray[np.uint8]) -> None:
    """Write a profile into a bundle.

    Args:
        writer: of the bundle.
        profile: what was measured.
        ranks: shape (items,), places in :data:`recsys.drift.item_facts.RANKS`.
    """
    writer.json(_PROFILE, profile.model_dump(mode="json"))
    writer.array(_RANKS, ranks)


def load_reference(reader: FolderBundleReader) -> Reference:
    """Read what :func:`save_profile` wrote, and the bundle's catalogue.

    Raises:
        NotFoundError: the bundle carries no profile: it was made by an earlier version.
        IncompatibleBundleError: it carries one of another version.
    """
    if f"{_PROFILE}.json" not in reader.manifest.files:
        raise NotFoundError("drift profile", reader.name)
    try:
        profile = Profile.model_validate_json(reader.path(f"{_PROFILE}.json").read_bytes())
    except ValidationError as error:
        reason = f"not a profile of version {VERSION} ({error.error_count()} faults)"
        raise IncompatibleBundleError(reader.name, f"{_PROFILE}.json", reason) from error
    items = pl.read_parquet(reader.path(_ITEMS))
    return Reference(profile, item_facts(items, reader.array(_RANKS)), reader.name)
