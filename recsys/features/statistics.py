"""What the log says of every item: when it first appeared, how early in a user's life it is met."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from recsys.data.log import InteractionLog
from recsys.registry.bundle import BundleReader, BundleWriter

_FOLDER = "statistics"


@dataclass(frozen=True, slots=True)
class ItemStatistics:
    """One value per item; nan where the log never mentions it."""

    first_seen_s: NDArray[np.float64]  # shape (items,), Unix time of the first interaction
    mean_log_position: NDArray[np.float32]  # shape (items,), mean of log(1 + items the user had before)

    def save(self, writer: BundleWriter) -> None:
        """Write the arrays under ``statistics/``."""
        for name in self.__slots__:
            writer.array(f"{_FOLDER}/{name}", getattr(self, name))

    @classmethod
    def load(cls, reader: BundleReader) -> Self:
        """Read the arrays back, memory-mapped."""
        return cls(*(reader.array(f"{_FOLDER}/{name}") for name in cls.__slots__))


def fit_statistics(log: InteractionLog) -> ItemStatistics:
    """Summarise the log per item."""
    first = np.full(log.n_items, np.inf)
    np.minimum.at(first, log.item_rows, log.times_s)
    before = np.arange(len(log.item_rows)) - np.repeat(log.offsets[:-1], log.lengths)
    counts = np.bincount(log.item_rows, minlength=log.n_items)
    sums = np.bincount(log.item_rows, np.log1p(before), log.n_items)
    known = counts > 0
    mean = np.where(known, sums / np.maximum(counts, 1), np.nan)
    return ItemStatistics(np.where(known, first, np.nan), mean.astype(np.float32))
