"""Wakes the event loop at a moment: to some tens of microseconds where the kernel offers it.

Event loops round their timeouts up to whole milliseconds, and that much every request would leave late. On
Linux a timerfd does not round; it is set by ctypes, for Python has it only from 3.13 on.
"""

import asyncio
import contextlib
import ctypes
import os
import sys
from collections.abc import Callable
from typing import Protocol

from recsys.core.clock import Clock

_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1
_NS_PER_S = 1_000_000_000


class Timer(Protocol):
    """Calls back once at a moment."""

    def wake_at(self, at_s: float) -> None:
        """Call back at ``at_s``, in monotonic seconds; soon when that has passed."""

    def close(self) -> None:
        """Call back no more."""


class LoopTimer:
    """The event loop's own: whole milliseconds."""

    def __init__(self, clock: Clock, callback: Callable[[], None]) -> None:
        self._clock = clock
        self._callback = callback
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None

    def wake_at(self, at_s: float) -> None:
        """Call back at ``at_s``."""
        self._handle = self._loop.call_later(max(0.0, at_s - self._clock()), self._callback)

    def close(self) -> None:
        """Call back no more."""
        if self._handle is not None:
            self._handle.cancel()


class _TimeSpec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class KernelTimer:
    """A timerfd on the monotonic clock.

    Raises:
        OSError: the kernel has none.
    """

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._loop = asyncio.get_running_loop()
        self._library = ctypes.CDLL(None, use_errno=True)
        flags = os.O_NONBLOCK | os.O_CLOEXEC
        self._descriptor = int(self._library.timerfd_create(_CLOCK_MONOTONIC, flags))
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._spec = _TimeSpec(0, 0, 0, 0)
        self._loop.add_reader(self._descriptor, self._ring)

    def wake_at(self, at_s: float) -> None:
        """Call back at ``at_s``."""
        at_ns = max(1, int(at_s * _NS_PER_S))  # nought would disarm it
        self._spec.value_s, self._spec.value_ns = divmod(at_ns, _NS_PER_S)
        spec = ctypes.byref(self._spec)
        if self._library.timerfd_settime(self._descriptor, _ABSOLUTE, spec, None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def close(self) -> None:
        """Call back no more."""
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):  # set anew meanwhile
            os.read(self._descriptor, 8)
            self._callback()


def open_timer(clock: Clock, callback: Callable[[], None]) -> Timer:
    """Return the most exact timer at hand; ``clock`` is the monotonic clock of the machine."""
    if sys.platform == "linux":
        try:
            return KernelTimer(callback)
        except (OSError, AttributeError):  # an old kernel, a C library without it
            pass
    return LoopTimer(clock, callback)
