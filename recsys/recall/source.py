"""What every recall source can do. A source names candidates; the blend merges the sources."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recsys.features.users import UserBatch
from recsys.registry.bundle import BundleReader, BundleWriter


@dataclass(frozen=True, slots=True)
class Ranked:
    """Items named for each user, best first; short rows are padded with NO_ITEM and -inf."""

    item_rows: NDArray[np.int32]  # shape (users, n)
    scores: NDArray[np.float32]  # shape (users, n), falling


class RecallSource(Protocol):
    """One way of naming candidates, fitted and complete."""

    @property
    def name(self) -> str:
        """The name that answers, features and reports use, for example ``sequential``."""
        ...

    def search(self, users: UserBatch, n: int) -> Ranked:
        """Name up to ``n`` items for each user, none of them excluded, none twice, none unavailable."""
        ...

    def score(self, users: UserBatch, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Score given items for each user, shape (users, items); finite; 0.0 where nothing is known."""
        ...

    def save(self, writer: BundleWriter) -> None:
        """Write every array under ``recall/<name>/``; the class's ``load(reader)`` reads them back."""
        ...


__all__ = ["BundleReader", "BundleWriter", "Ranked", "RecallSource"]
