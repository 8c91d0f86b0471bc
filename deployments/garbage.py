"""When Python looks for reference cycles: seldom, and not among what a replica loaded at its start."""

import gc
from typing import Final

_YOUNG: Final = 20_000  # objects made, less those gone; Python's own 700 is reached with every other batch
_MIDDLE: Final = 20
_OLD: Final = 50


def collect_seldom() -> None:
    """Take what is there now out of the collector's rounds, and make them rarer.

    A round among the modules that a replica imports takes 100 to 400 ms, in which nobody is answered, and
    what answers leave behind is freed without it: almost nothing here refers to itself.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
