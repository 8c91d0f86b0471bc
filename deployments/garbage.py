"""When Python looks for reference cycles: seldom, and not among what a replica loaded at its start."""

import gc
from typing import Final

_YOUNG: Final = 20_000  # objects made, less those gone, until the next round; Python's own number is 700


def collect_seldom() -> None:
    """Take what is there now out of the collector's rounds, and make them rarer.

    A round among the modules that a replica imports takes some hundred milliseconds, in which nobody is
    answered, and little of what answers leave behind needs one: under full load there is one every ten
    seconds or so (docs/performance.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)
