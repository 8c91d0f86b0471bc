"""Pieces of history of one length, from which the network learns to name the next item at every place."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.data.log import InteractionLog
from recsys.features.users import NO_ITEM


@dataclass(frozen=True, slots=True)
class Windows:
    """Items and what came next; padded with NO_ITEM in front, as a short history is."""

    inputs: NDArray[np.int32]  # shape (windows, length)
    targets: NDArray[np.int32]  # same shape: the item after each input

    def __len__(self) -> int:
        return len(self.inputs)


def cut_windows(log: InteractionLog, length: int, rng: np.random.Generator) -> Windows:
    """Cut every history at a random place and every ``length`` items from there.

    Every item of a history but the first is a target once, with at most ``length`` items before it.

    Args:
        log: who met what.
        length: of a window.
        rng: draws one place per user.
    """
    first_ends = rng.integers(1, length + 1, size=log.n_users)  # inputs in the first window
    n_inputs = np.maximum(log.lengths - 1, 0)
    n_windows = np.where(n_inputs > 0, 1 + np.ceil(np.maximum(n_inputs - first_ends, 0) / length), 0).astype(
        int
    )
    users = np.repeat(np.arange(log.n_users), n_windows)
    number = np.arange(len(users)) - np.repeat(np.cumsum(n_windows) - n_windows, n_windows)
    stops = np.minimum(first_ends[users] + number * length, n_inputs[users])  # inputs before it
    starts = np.where(number == 0, 0, first_ends[users] + (number - 1) * length)
    return _gather(log, log.offsets[users], starts, stops, length)


def _gather(
    log: InteractionLog,
    bases: NDArray[np.int64],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    length: int,
) -> Windows:
    places = stops[:, None] - np.arange(length, 0, -1)  # the last column is the input before ``stops``
    real = places >= starts[:, None]
    at = np.where(real, bases[:, None] + places, 0)
    inputs = np.where(real, log.item_rows[at], NO_ITEM)
    targets = np.where(real, log.item_rows[np.where(real, at + 1, 0)], NO_ITEM)
    return Windows(inputs.astype(np.int32), targets.astype(np.int32))


def endless_batches(
    log: InteractionLog, length: int, size: int, rng: np.random.Generator
) -> Iterator[Windows]:
    """Yield batches of pass after pass over the log, each pass cut at other places.

    Args:
        log: at least one user has two positions.
        length: of a window.
        size: windows per batch.
        rng: of places and order.
    """
    while True:
        yield from batches(cut_windows(log, length, rng), size, rng)


def batches(windows: Windows, size: int, rng: np.random.Generator) -> Iterator[Windows]:
    """Yield all windows once in random order; the last batch is filled up with windows of NO_ITEM."""
    order = rng.permutation(len(windows))
    for start in range(0, len(order), size):
        taken = order[start : start + size]
        yield Windows(_filled(windows.inputs[taken], size), _filled(windows.targets[taken], size))


def _filled(rows: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    missing = ((0, size - len(rows)), (0, 0))
    return np.pad(rows, missing, constant_values=NO_ITEM)
