"""When a client that was refused should come back."""

from math import ceil
from random import Random


def retry_after_s(wait_s: float, spread_s: int, chance: Random) -> int:
    """Return whole seconds: the expected wait, at least 1, and up to ``spread_s`` more by chance.

    Clients that are refused at the same moment then do not return at the same moment.

    Args:
        wait_s: until somebody could be served, in seconds.
        spread_s: at most so much is added.
        chance: where the addition comes from.
    """
    return max(1, ceil(wait_s)) + chance.randint(0, spread_s)
