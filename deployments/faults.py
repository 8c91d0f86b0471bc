"""Faults on purpose: what a bad bundle does, for game days and for tests of the guardrails."""

import asyncio
import tomllib
from collections.abc import Mapping
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveInt

from recsys.core.errors import DataFormatError, UnavailableError
from recsys.core.settings import FrozenModel
from recsys.recall.candidates import Candidates


class Fault(FrozenModel):
    """What a stage does wrong while it serves a bundle."""

    delay_s: NonNegativeFloat = 0.0
    """It takes so much longer."""
    error_share: float = Field(default=0.0, ge=0, le=1)
    """So many of its batches it fails."""
    n_candidates: PositiveInt | None = None
    """It names no more than so many candidates."""
    shuffled: bool = False
    """It scores by chance."""


def read_faults(path: Path) -> dict[str, Fault]:
    """Read faults by bundle from a TOML file.

    Raises:
        DataFormatError: it holds something else.
    """
    try:
        tables = tomllib.loads(path.read_text())
        return {bundle: Fault.model_validate(table) for bundle, table in tables.items()}
    except (OSError, ValueError) as error:
        raise DataFormatError(path, "faults in TOML, a table per bundle", str(error)) from error


class Faults:
    """Does wrong what it is told to; nothing when it is told nothing.

    Args:
        stage: which stage it is in.
        faults: by bundle.
        chance: which batches fail, and the scores that mean nothing.
    """

    def __init__(self, stage: str, faults: Mapping[str, Fault], chance: Random) -> None:
        self._stage = stage
        self._faults = faults
        self._chance = chance

    async def before(self, bundle: str) -> None:
        """Dawdle, or fail.

        Raises:
            UnavailableError: a fault was asked for.
        """
        fault = self._faults.get(bundle)
        if fault is None:
            return
        if fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        if fault.error_share and self._chance.random() < fault.error_share:
            raise UnavailableError(self._stage, "a fault on purpose")

    def named(self, bundle: str, candidates: Candidates) -> Candidates:
        """Return the candidates that are left."""
        fault = self._faults.get(bundle)
        if fault is None or fault.n_candidates is None:
            return candidates
        n = fault.n_candidates
        return Candidates(candidates.item_rows[:, :n], candidates.source_ranks[:, :n])

    def scored(self, bundle: str, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the scores that are told."""
        fault = self._faults.get(bundle)
        if fault is None or not fault.shuffled:
            return scores
        rng = np.random.default_rng(self._chance.getrandbits(64))
        return np.where(np.isfinite(scores), rng.random(scores.shape, dtype=np.float32), scores)
