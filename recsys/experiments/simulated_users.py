"""Users of a made-up service, for checks of the analysis against a known truth.

A user has an activity (skewed: most watch little), a taste, items shown and watches, and four of five have
the watches of the time before.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.experiments.moments import Moments, moments_by_group

Floats = NDArray[np.float64]

METRICS: Final = ("watches per user", "watches per item shown")
_NEWCOMERS = 0.2  # share of users without a past
_SHOWN = 12.0  # on average, besides the first item
_ACTIVITY_SHAPE = 0.7  # of a gamma with mean 1: the standard deviation is 1.2 times the mean
_TASTE = (2.0, 6.0)  # of a beta with mean 1 / 4


class Users(NamedTuple):
    """Figures of users, each of shape (users,)."""

    watched: Floats
    shown: Floats
    watched_before: Floats  # nan of those without a past


def draw(rng: np.random.Generator, n: int) -> Users:
    """Draw ``n`` users; ``rng`` is where chance comes from."""
    activity, taste = rng.gamma(_ACTIVITY_SHAPE, _SHOWN / _ACTIVITY_SHAPE, n), rng.beta(*_TASTE, n)
    shown, shown_before = 1 + rng.poisson(activity), 1 + rng.poisson(activity)
    watched = rng.binomial(shown, taste)
    before = rng.binomial(shown_before, taste).astype(np.float64)
    before[rng.random(n) < _NEWCOMERS] = np.nan
    return Users(watched.astype(np.float64), shown.astype(np.float64), before)


def reduce_users(
    users: Users,
    groups: NDArray[np.int64],
    n_groups: int,
    shifts: Sequence[Floats | float] = (0.0, 0.0),
) -> list[list[Moments]]:
    """Reduce users group by group, once for each of :data:`METRICS`.

    Args:
        users: as drawn.
        groups: shape (users,), in [0, n_groups).
        n_groups: how many groups there are.
        shifts: by how much each metric of each user is moved: its mean moves by just that, and its variance
            not at all.
    """
    watched, shown, before = users
    return [
        moments_by_group(groups, n_groups, watched + shifts[0], None, before),
        moments_by_group(groups, n_groups, watched + shifts[1] * shown, shown, before),
    ]
