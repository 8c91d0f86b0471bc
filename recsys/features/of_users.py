"""The features of a user at a moment: one function, whoever asks.

Every executor ends here: Polars and Ray Data with the lives of a partition (:mod:`recsys.features.table`),
the server with the states of a batch of requests (:mod:`recsys.pipeline.lives`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.features import pairs
from recsys.features.lives import Lives, Moments
from recsys.features.sessions import SESSION_FEATURES, session_features
from recsys.features.tastes import DAY_FEATURES, TagTable, day_features, preferred_tags
from recsys.features.users import UserBatch, user_batch

LIFE_FEATURES = ("activity", "days_since_last", "days_since_tenth_last", "hour_of_day")
"""Those that the ranker has too, by the same functions of :mod:`recsys.features.pairs`."""

USER_FEATURES = (*LIFE_FEATURES, *SESSION_FEATURES, *DAY_FEATURES)
"""Names of the columns of :attr:`UserFeatures.values`, in order."""

_AT_ONCE = 4_096  # questions; a history of 100 places takes 1.2 kB


@dataclass(frozen=True, slots=True)
class UserFeatures:
    """What is known of the user of each question."""

    values: NDArray[np.float32]  # shape (questions, USER_FEATURES), nan = unknown
    tag_rows: NDArray[np.int32]  # shape (questions, N_PREFERRED), NO_TAG where there are fewer
    tag_shares: NDArray[np.float32]  # same shape


def user_features(lives: Lives, moments: Moments, tags: TagTable) -> UserFeatures:
    """Compute all of them."""
    values = np.empty((len(moments), len(USER_FEATURES)), dtype=np.float32)
    n = len(LIFE_FEATURES)
    for start, users in _batches(lives, moments):
        into = values[start : start + len(users)]
        into[:, :1] = pairs.activity(users)
        into[:, 1:2] = pairs.days_since_last(users)
        into[:, 2:3] = pairs.days_since_last(users, back=9)
        into[:, 3:4] = pairs.hour_of_day(users)
    values[:, n : n + len(SESSION_FEATURES)] = session_features(lives, moments)
    values[:, n + len(SESSION_FEATURES) :] = day_features(lives, moments)
    return UserFeatures(values, *preferred_tags(lives, moments, tags))


def _batches(lives: Lives, moments: Moments) -> Iterator[tuple[int, UserBatch]]:
    for start in range(0, len(moments), _AT_ONCE):
        asked = moments.part(start, start + _AT_ONCE)
        yield (
            start,
            user_batch(
                lives.item_rows,
                lives.times_s,
                asked.starts,
                asked.stops,
                now_s=asked.now_s,
                context_rows=np.zeros(len(asked), dtype=np.int16),
                excluded_offsets=np.zeros(len(asked) + 1, dtype=np.int64),
                excluded_rows=np.zeros(0, dtype=np.int32),
            ),
        )
