"""Pieces of history of one length, from which the network learns to name the next item at every place."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.data.log import InteractionLog
from recsys.features.users import NO_ITEM

_PARTS = (4, 2, 1)  # of the length: the widths of batches
_NARROWEST = 16  # every width is compiled once, which takes seconds: below this it does not pay


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
    log: InteractionLog, length: int, n_places: int, rng: np.random.Generator
) -> Iterator[Windows]:
    """Yield batches of pass after pass over the log, each pass cut at other places.

    Args:
        log: at least one user has two positions.
        length: of a window.
        n_places: of a batch, see :func:`batches`.
        rng: of places and order.
    """
    while True:
        yield from batches(cut_windows(log, length, rng), n_places, rng)


def batches(windows: Windows, n_places: int, rng: np.random.Generator) -> Iterator[Windows]:
    """Yield all windows once in random order, in batches of windows of about one width.

    A batch is cut in front to a quarter, a half or the whole of the length (a quarter is at least 16),
    whichever its windows fit in, so that short histories cost little. Narrow batches have more windows: the
    places are about as many in each. What is missing in a batch is filled up with windows of NO_ITEM.

    Args:
        windows: of one length.
        n_places: windows times width of a batch; at least one window comes even where it is wider.
        rng: of the order of windows and of batches.
    """
    length = windows.inputs.shape[1]
    widths = np.unique([max(-(-length // part), min(_NARROWEST, length)) for part in _PARTS])
    kind = np.searchsorted(widths, (windows.inputs != NO_ITEM).sum(axis=1))
    order = rng.permutation(len(windows))
    chunks = [
        (int(width), taken)
        for number, width in enumerate(widths)
        for taken in _chunks(order[kind[order] == number], max(1, n_places // int(width)))
    ]
    for number in rng.permutation(len(chunks)):
        width, taken = chunks[number]
        size = max(1, n_places // width)
        yield Windows(
            _filled(windows.inputs[taken, length - width :], size),
            _filled(windows.targets[taken, length - width :], size),
        )


def _chunks(rows: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _filled(rows: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    missing = ((0, size - len(rows)), (0, 0))
    return np.pad(rows, missing, constant_values=NO_ITEM)
