"""What is known of a batch of users at the moment each of them asks.

Training builds it from the interaction log at past positions, serving from the stored user state; both go
through :func:`user_batch`, so the same past gives the same arrays, bit for bit.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.core.compiled import compiled
from recsys.data.log import InteractionLog

HISTORY_LENGTH = 100
"""How many of a user's latest positive items the models look at."""

ACTIVITY_LIMIT = 200
"""Counts of a user's positive items stop here: what user state remembers, so that training knows no more."""

NO_ITEM = -1
"""Row number that pads short histories and short candidate lists."""


@dataclass(frozen=True, slots=True)
class UserBatch:
    """Users, what they chose lately, and what they must not be shown.

    Column 0 of the history is the latest item; short histories are padded with :data:`NO_ITEM`. The width is
    always the same, so that a sum over a history has the same bits in whatever batch it is computed.
    """

    history_rows: NDArray[np.int32]  # shape (users, HISTORY_LENGTH)
    history_times_s: NDArray[np.float64]  # same shape, Unix time, 0 where padded
    n_positive: NDArray[np.int64]  # shape (users,), positive items ever, up to ACTIVITY_LIMIT
    now_s: NDArray[np.float64]  # shape (users,), Unix time of the question
    context_rows: NDArray[np.int16]  # shape (users,), 0 = unknown
    excluded_offsets: NDArray[np.int64]  # shape (users + 1,)
    excluded_rows: NDArray[np.int32]  # user u must not get excluded_rows[offsets[u]:offsets[u + 1]]

    def __len__(self) -> int:
        return len(self.now_s)

    def blocked(self, n_items: int) -> NDArray[np.bool_]:
        """Return shape (users, n_items): True where the user must not get the item."""
        blocked = np.zeros((len(self), n_items), dtype=np.bool_)
        _block(self.excluded_offsets, self.excluded_rows, blocked)
        return blocked

    def slice(self, start: int, stop: int) -> "UserBatch":
        """Return users ``start`` to ``stop`` as a batch of their own (views, no copies but the offsets)."""
        offsets = self.excluded_offsets[start : stop + 1]
        return UserBatch(
            self.history_rows[start:stop],
            self.history_times_s[start:stop],
            self.n_positive[start:stop],
            self.now_s[start:stop],
            self.context_rows[start:stop],
            offsets - offsets[0],
            self.excluded_rows[offsets[0] : offsets[-1]],
        )

    def take(self, users: NDArray[np.intp]) -> "UserBatch":
        """Return the users of these rows, in this order, as a batch of their own."""
        starts = self.excluded_offsets[users]
        lengths = self.excluded_offsets[users + 1] - starts
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        places = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        return UserBatch(
            self.history_rows[users],
            self.history_times_s[users],
            self.n_positive[users],
            self.now_s[users],
            self.context_rows[users],
            offsets,
            self.excluded_rows[places],
        )


@compiled
def _block(offsets: NDArray[np.int64], rows: NDArray[np.int32], blocked: NDArray[np.bool_]) -> None:
    for user in range(len(blocked)):
        for row in rows[offsets[user] : offsets[user + 1]]:
            if row < blocked.shape[1]:  # another process may know of newer items than this one
                blocked[user, row] = True


def user_batch(
    item_rows: NDArray[np.int32],
    times_s: NDArray[np.float64],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    *,
    now_s: NDArray[np.float64],
    context_rows: NDArray[np.int16],
    excluded_offsets: NDArray[np.int64],
    excluded_rows: NDArray[np.int32],
    history_length: int = HISTORY_LENGTH,
) -> UserBatch:
    """Cut the latest items of each user out of one long array.

    Args:
        item_rows: shape (positions,), each user's positive items from old to new, users in any order.
        times_s: shape (positions,), Unix time of each.
        starts: shape (users,), first position of each user.
        stops: shape (users,), one past the last position that the user has lived so far.
        now_s: shape (users,), the moment of the question.
        context_rows: shape (users,).
        excluded_offsets: shape (users + 1,).
        excluded_rows: shape (excluded_offsets[-1],).
        history_length: keep at most so many items of each user.
    """
    shape = (len(starts), history_length)
    history_rows, history_times_s = np.full(shape, NO_ITEM, dtype=np.int32), np.zeros(shape)
    _cut(item_rows, times_s, starts, stops, history_rows, history_times_s)
    return UserBatch(
        history_rows,
        history_times_s,
        np.minimum(stops - starts, ACTIVITY_LIMIT),
        np.asarray(now_s, dtype=np.float64),
        np.asarray(context_rows, dtype=np.int16),
        excluded_offsets,
        excluded_rows,
    )


@compiled
def _cut(
    item_rows: NDArray[np.int32],
    times_s: NDArray[np.float64],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    history_rows: NDArray[np.int32],
    history_times_s: NDArray[np.float64],
) -> None:
    for user in range(len(starts)):
        for age in range(min(stops[user] - starts[user], history_rows.shape[1])):
            history_rows[user, age] = item_rows[stops[user] - 1 - age]
            history_times_s[user, age] = times_s[stops[user] - 1 - age]


def nobody() -> UserBatch:
    """Return a batch of one user of whom nothing is known."""
    none, one = np.zeros(0, dtype=np.int32), np.zeros(1, dtype=np.int64)
    return user_batch(
        none,
        np.zeros(0),
        one,
        one,
        now_s=np.zeros(1),
        context_rows=np.zeros(1, dtype=np.int16),
        excluded_offsets=np.zeros(2, dtype=np.int64),
        excluded_rows=none,
    )


def batch_at(
    log: InteractionLog,
    users: NDArray[np.int64],
    stops: NDArray[np.int64],
    now_s: NDArray[np.float64],
    context_rows: NDArray[np.int16] | None = None,
) -> UserBatch:
    """Return users of a log as they were just before the positions ``stops``; what they had seen is excluded.

    Args:
        log: the interactions.
        users: shape (users,), user rows of the log; -1, with stop 0, for somebody it does not know.
        stops: shape (users,), absolute positions: history is everything of the user before it.
        now_s: shape (users,), the moment of the question.
        context_rows: shape (users,); unknown when absent.
    """
    starts = np.where(users < 0, 0, log.offsets[users])
    lengths = stops - starts
    excluded_offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    within = np.arange(excluded_offsets[-1]) - np.repeat(excluded_offsets[:-1], lengths)
    excluded_rows = log.item_rows[np.repeat(starts, lengths) + within]
    return user_batch(
        log.item_rows,
        log.times_s,
        starts,
        stops,
        now_s=now_s,
        context_rows=np.zeros(len(users), dtype=np.int16) if context_rows is None else context_rows,
        excluded_offsets=excluded_offsets,
        excluded_rows=excluded_rows,
    )
