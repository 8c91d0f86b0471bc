"""How many threads work side by side."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

_OPENMP = "OMP_NUM_THREADS"


def usable_cores() -> int:
    """Return how many cores this process may keep busy: what OpenMP was told, else those of the machine.

    Ray tells OpenMP how many cores a task has asked for.
    """
    told = os.environ.get(_OPENMP, "")
    return int(told) if told.isdecimal() and int(told) > 0 else os.cpu_count() or 1


@contextmanager
def side_by_side(at_most: int) -> Iterator[ThreadPoolExecutor]:
    """Give a pool of threads, no more than there are cores.

    Linear algebra gets one thread in each: the last bits of what it computes depend on how many it has.
    What runs in it has to let go of the interpreter's lock (compiled loops and numpy's do). After an error,
    what has not begun never will.

    Args:
        at_most: so many at a time, for each may need much memory.
    """
    blas = threadpool_limits(limits=1, user_api="blas")
    with blas, ThreadPoolExecutor(min(at_most, usable_cores())) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
