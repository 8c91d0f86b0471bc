"""Loops as machine code, for work that numpy could only do in many passes over many temporary arrays.

A compiled function is compiled for the types of its first call; the code is kept on disk (in ``__pycache__``,
or where ``NUMBA_CACHE_DIR`` says), so only the first process on a machine waits for it. It lets go of the
interpreter's lock. Sums may be reordered to use the processor's wide registers, but in a way that depends on
their length alone: a user's figures have the same bits in whatever batch they are computed.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")


def compiled(function: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
    """Compile a function of numbers and arrays with Numba; its annotations stay what callers see."""
    decorate = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
    return cast("Callable[Arguments, Returned]", decorate(function))
