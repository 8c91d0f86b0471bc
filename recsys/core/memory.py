"""Memory of a process and all that it has started, each page counted once however many share it."""

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from recsys.core.errors import UnavailableError

_PROC = Path("/proc")
_EVERY_S = 0.5
_KB_PER_MB = 1_024.0


@dataclass(slots=True)
class Peak:
    """The largest sum seen so far, and that of the processes that were asked for, each at its own moment."""

    all_mb: float = 0.0
    some_mb: float = 0.0


@contextmanager
def peak_watched(is_some: Callable[[str], bool]) -> Iterator[Peak]:
    """Look at this process and all below it twice a second.

    Args:
        is_some: whether a command line is one of those whose memory is wanted by itself.

    Raises:
        UnavailableError: the system does not tell (only Linux does).
    """
    peak, over = Peak(), threading.Event()
    _look(peak, is_some)

    def watch() -> None:
        while not over.wait(_EVERY_S):
            _look(peak, is_some)

    thread = threading.Thread(target=watch, name="memory", daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


def _look(peak: Peak, is_some: Callable[[str], bool]) -> None:
    sizes = family_mb(os.getpid())
    peak.all_mb = max(peak.all_mb, sum(sizes.values()))
    some = sum(size for pid, size in sizes.items() if is_some(_command(pid)))
    peak.some_mb = max(peak.some_mb, some)


def family_mb(pid: int) -> dict[int, float]:
    """Return the proportional set size (MiB) of a process and of all below it, by process id.

    A page that n processes share counts 1/n in each: the sum is what the machine has given.

    Raises:
        UnavailableError: the system does not tell.
    """
    if not (_PROC / str(pid) / "smaps_rollup").exists():
        raise UnavailableError("memory of processes", "only Linux tells it, in /proc/*/smaps_rollup")
    below = _children()
    sizes, left = {}, [pid]
    while left:
        one = left.pop()
        left += below[one]
        with suppress(OSError, ValueError):  # it has just ended
            sizes[one] = _proportional_mb(one)
    return sizes


def _children() -> dict[int, list[int]]:
    found = defaultdict(list)
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                after_name = (folder / "stat").read_text().rpartition(")")[2].split()
                found[int(after_name[1])].append(int(folder.name))
    return found


def _proportional_mb(pid: int) -> float:
    lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    line = next((line for line in lines if line.startswith("Pss:")), "")
    return int(line.removeprefix("Pss:").split()[0]) / _KB_PER_MB if line else 0.0


def _command(pid: int) -> str:
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
