"""What users chose, one after another, and what each of them had chosen by a moment.

A question at a moment sees what happened strictly before it, and of that the latest :data:`ACTIVITY_LIMIT`
positions: as much as user state remembers, so that offline knows no more than the server.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.compiled import compiled
from recsys.features.users import ACTIVITY_LIMIT


@dataclass(frozen=True, slots=True)
class Lives:
    """Positive interactions: user ``u`` owns positions offsets[u]:offsets[u + 1], from old to new.

    Watch time is counted in whole milliseconds: a sum of integers is the same in whatever order, by whatever
    executor it is added up.
    """

    offsets: NDArray[np.int64]  # shape (users + 1,)
    item_rows: NDArray[np.int32]  # shape (positions,)
    times_s: NDArray[np.float64]  # shape (positions,), Unix time
    watched_ms: NDArray[np.int64]  # shape (positions,), 0 where it is not known


@dataclass(frozen=True, slots=True)
class Moments:
    """Questions about lives: of each, whose, when, and which positions it may look at."""

    starts: NDArray[np.int64]  # shape (questions,), the first position that is remembered
    stops: NDArray[np.int64]  # shape (questions,), one past the last that happened before
    now_s: NDArray[np.float64]  # shape (questions,), Unix time

    def __len__(self) -> int:
        return len(self.now_s)

    def part(self, start: int, stop: int) -> "Moments":
        """Return questions ``start`` to ``stop`` (views)."""
        return Moments(self.starts[start:stop], self.stops[start:stop], self.now_s[start:stop])


def watched_ms(shares: NDArray[np.float32], durations_s: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return how long items were watched.

    Args:
        shares: of the item that was watched, nan = unknown; below 0 counts as 0.
        durations_s: of the items, nan = unknown.

    Returns:
        Milliseconds, at most a day, 0 where either is unknown.
    """
    seconds = np.maximum(shares.astype(np.float64), 0.0) * durations_s.astype(np.float64)
    known_s = np.where(np.isfinite(seconds), np.minimum(seconds, SECONDS_PER_DAY), 0.0)
    return np.rint(known_s * 1_000.0).astype(np.int64)


def moments_of(lives: Lives, users: NDArray[np.int64], now_s: NDArray[np.float64]) -> Moments:
    """Return what each question may look at.

    Args:
        lives: of all users.
        users: shape (questions,), rows of ``lives``.
        now_s: shape (questions,), Unix time of each question.
    """
    starts, stops = np.empty(len(users), dtype=np.int64), np.empty(len(users), dtype=np.int64)
    _find(lives.offsets, lives.times_s, users, now_s, ACTIVITY_LIMIT, starts, stops)
    return Moments(starts, stops, np.asarray(now_s, dtype=np.float64))


@compiled
def _find(
    offsets: NDArray[np.int64],
    times_s: NDArray[np.float64],
    users: NDArray[np.int64],
    now_s: NDArray[np.float64],
    limit: int,
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
) -> None:
    for question in range(len(users)):
        first, low, high = offsets[users[question]], offsets[users[question]], offsets[users[question] + 1]
        while low < high:  # the first position that is not before the moment
            middle = (low + high) // 2
            if times_s[middle] < now_s[question]:
                low = middle + 1
            else:
                high = middle
        starts[question] = max(first, low - limit)
        stops[question] = low
