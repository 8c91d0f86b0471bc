"""Independent streams of random numbers from one seed, so that no part disturbs another."""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """Who draws; the numbers are part of the data format: a change gives other worlds for the same seed."""

    CATALOGUE = 0
    TASTES = 1
    ACTIVITY = 2
    SHELVES = 3
    SCHEDULE = 4
    CHOICES = 5


def stream(seed: int, who: Stream, block: int = 0) -> np.random.Generator:
    """Return the generator of one part and one block of users, whatever else has been drawn.

    >>> stream(7, Stream.CHOICES, 3).integers(100) == stream(7, Stream.CHOICES, 3).integers(100)
    np.True_
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(who), block)))
