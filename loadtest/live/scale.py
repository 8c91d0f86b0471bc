"""What a watch rate can be in a world: blind lists at one end, the best lists at the other."""

from dataclasses import dataclass

import numpy as np

from loadtest.live.reactions import best_lists, expected_watch_rate, random_lists
from recsys.simulation.world import World

_USERS = 400


@dataclass(frozen=True, slots=True)
class WatchScale:
    """Videos watched per video shown, on average over users."""

    blind: float
    """Lists of videos drawn blindly."""
    best: float
    """Lists made with full knowledge of tastes; what was met before is not left out."""


def watch_scale(world: World, top_n: int, time_s: float, *, seed: int = 0) -> WatchScale:
    """Return the ends of the scale for lists of ``top_n``, over a few hundred users drawn by ``seed``."""
    rng = np.random.default_rng(seed)
    users = rng.choice(world.n_users, size=min(_USERS, world.n_users), replace=False).astype(np.int64)
    blind = random_lists(world, users.size, top_n, rng)
    best = best_lists(world, users, top_n, time_s)
    return WatchScale(
        expected_watch_rate(world, users, blind, time_s), expected_watch_rate(world, users, best, time_s)
    )
