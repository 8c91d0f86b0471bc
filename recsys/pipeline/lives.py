"""The features of the users of a batch of requests, from their stored states.

The third executor of :mod:`recsys.features.of_users`: the same events in a store and in a log give the same
features, bit for bit (tests/conformance/test_feature_executors.py).
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import ShapeError
from recsys.data.log import Vocabulary
from recsys.features.lives import Lives, moments_of, watched_ms
from recsys.features.of_users import UserFeatures, user_features
from recsys.features.tastes import TagTable
from recsys.state.store import UserState


def features_of_states(
    states: Sequence[UserState],
    *,
    now_s: NDArray[np.float64],
    items: Vocabulary,
    durations_s: NDArray[np.float32],
    tags: TagTable,
) -> UserFeatures:
    """Return the features of users as their states tell of them; items that ``items`` lacks do not count.

    Args:
        states: what is stored of each user.
        now_s: shape (users,), Unix time of each question; what happened then or later is not looked at.
        items: gives item ids their rows.
        durations_s: shape (items,), nan = unknown.
        tags: of the items.

    Raises:
        ShapeError: there is not one moment per state.
    """
    if now_s.shape != (len(states),):
        raise ShapeError("now_s", (len(states),), now_s.shape)
    rows = items.rows(list(chain.from_iterable(state.item_ids for state in states)))
    known = rows >= 0
    users = np.repeat(np.arange(len(states)), [len(state.item_ids) for state in states])
    times_s = np.concatenate([np.zeros(0), *(state.times_s for state in states)])
    shares = np.concatenate([np.zeros(0, dtype=np.float32), *map(_shares, states)])
    counts = np.bincount(users[known], minlength=len(states))
    lives = Lives(
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        rows[known],
        times_s[known],
        watched_ms(shares[known].astype(np.float32), durations_s[rows[known]]),
    )
    moments = moments_of(lives, np.arange(len(states), dtype=np.int64), now_s)
    return user_features(lives, moments, tags)


def _shares(state: UserState) -> NDArray[np.float32]:
    if state.watched is None:
        return np.full(len(state.item_ids), np.nan, dtype=np.float32)
    return state.watched
