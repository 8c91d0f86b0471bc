"""Threads that work side by side, and end when nobody wants their work any more."""

import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

_OPENMP = "OMP_NUM_THREADS"
_LOOK_S = 0.2
_own = threading.local()  # ``left``: the event of the pool that a thread belongs to


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
    What runs in it has to let go of the interpreter's lock (compiled loops and numpy's do). After an error or
    Ctrl-C what has not begun never will, and what runs ends where it calls :func:`end_if_left`.

    Args:
        at_most: so many at a time, for each may need much memory.
    """
    blas = threadpool_limits(limits=1, user_api="blas")
    left = threading.Event()
    n_threads = min(at_most, usable_cores())
    with blas, ThreadPoolExecutor(n_threads, initializer=_belong_to, initargs=(left,)) as pool:
        try:
            yield pool
        except BaseException:
            left.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def wait_for(tasks: Iterable[Future[Any]]) -> None:
    """Wait until all are done, or raise what the first to fail has raised.

    It looks up now and then: polars catches SIGINT so that a wait goes on (SA_RESTART), and Ctrl-C would be
    seen when it is over, minutes later.
    """
    waiting = set(tasks)
    while waiting:
        done, waiting = wait(waiting, timeout=_LOOK_S, return_when=FIRST_EXCEPTION)
        for each in done:
            each.result()


def end_if_left() -> None:
    """End the work of this thread if its pool is left after an error; long loops call it now and then.

    Raises:
        CancelledError: it is.
    """
    left: threading.Event | None = getattr(_own, "left", None)
    if left is not None and left.is_set():
        raise CancelledError


def _belong_to(left: threading.Event) -> None:
    _own.left = left
