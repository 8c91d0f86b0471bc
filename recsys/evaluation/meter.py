"""What a fit costs: seconds, and the largest memory the process held meanwhile."""

import gc
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from recsys.core.clock import Clock, monotonic_clock

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # man 5 proc_pid_clear_refs: reset the peak resident set size

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Measured(Generic[T]):
    """What a call returned and what it cost."""

    result: T
    seconds: float
    peak_mb: float  # of the whole process, in 10^6 bytes: its code and the data included
    peak_is_of_call: bool  # False where the system only knows the peak since the process began


def measured(call: Callable[[], T], *, clock: Clock = monotonic_clock) -> Measured[T]:
    """Run ``call`` in this process and measure it; what it raises passes through.

    Memory is the peak of the resident set, reset before the call where the system allows that (Linux).
    """
    gc.collect()  # what earlier models left must not count for this one
    resettable = _reset_peak()
    start_s = clock()
    result = call()
    return Measured(result, clock() - start_s, _peak_mb(), resettable)


def _reset_peak() -> bool:
    try:
        _CLEAR.write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


def _peak_mb() -> float:
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    unit_bytes = 1 if sys.platform == "darwin" else 1024  # man 2 getrusage
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit_bytes / 1e6
