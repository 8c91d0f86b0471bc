"""How much memory the processes of a service hold. Reads /proc, so it works on Linux alone."""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from recsys.core.clock import Clock

_FIELDS = re.compile(rb"^(RssAnon|RssFile|RssShmem):\s+(\d+) kB", re.MULTILINE)
_REPLICA = re.compile(r"^ray::ServeReplica:[^:]+:([\w-]+)")
_NAMES = (
    ("ray::ServeController", "Serve controller"),
    ("ray::ProxyActor", "Serve proxy"),
    ("ray::HAProxyManager", "HAProxy manager"),
    ("haproxy", "HAProxy"),
    ("raylet/raylet", "raylet"),
    ("gcs_server", "Ray GCS"),
    ("runtime_env/agent", "Ray runtime environments"),
    ("dashboard/agent", "Ray agent"),
    ("log_monitor", "Ray log monitor"),
    ("deployments.local", "launcher's child"),
    ("ray::IDLE", "idle worker"),
    ("ray::", "other Ray worker"),
)


@dataclass(frozen=True, slots=True)
class Held:
    """Memory of one process in bytes."""

    own: int  # RssAnon: heaps and stacks, nobody else's
    shared: int  # mapped files (a bundle's arrays, programs) and shared memory, resident


@dataclass(slots=True)
class History:
    """One process over time."""

    name: str
    pid: int
    at_s: list[float] = field(default_factory=list)  # since the watch began
    held: list[Held] = field(default_factory=list)


def name_of(command: str) -> str:
    """Return what a process is for, from its command line.

    >>> name_of("ray::ServeReplica:marquee:recall-blue.recall")
    'recall-blue'
    >>> name_of("/usr/bin/python -m something")
    'something else'
    """
    replica = _REPLICA.match(command)
    if replica:
        return replica[1]
    return next((name for part, name in _NAMES if part in command), "something else")


def held_by(pid: int) -> Held | None:
    """Return what a process holds; None when it is gone."""
    try:
        found = dict(_FIELDS.findall(Path(f"/proc/{pid}/status").read_bytes()))
    except OSError:
        return None
    if b"RssAnon" not in found:  # it has ended and waits for its parent
        return None
    kb = {name: int(size) for name, size in found.items()}
    return Held(1024 * kb[b"RssAnon"], 1024 * (kb.get(b"RssFile", 0) + kb.get(b"RssShmem", 0)))


def marked(mark: str) -> Iterator[int]:
    """Yield the ids of all processes that were started with ``mark`` in their environment."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark.encode() in (folder / "environ").read_bytes() and int(folder.name) != os.getpid():
                yield int(folder.name)


class Watch:
    """A thread that samples the processes of a service.

    Args:
        mark: what they have in their environment, ``NAME=value``.
        every_s: between samples.
        clock: monotonic seconds.
    """

    def __init__(self, mark: str, every_s: float, clock: Clock) -> None:
        self._mark = mark
        self._every_s = every_s
        self._clock = clock
        self._began_s = clock()
        self._found: dict[int, History] = {}
        self._over = threading.Event()

    def sample(self) -> None:
        """Look once."""
        for pid in marked(self._mark):
            held = held_by(pid)
            if held is None:
                continue
            history = self._found.setdefault(pid, History("", pid))
            history.name = _name_now(pid) or history.name  # a worker becomes a replica
            history.at_s.append(self._clock() - self._began_s)
            history.held.append(held)

    @property
    def histories(self) -> list[History]:
        """What was found, one per process, by name."""
        return sorted(self._found.values(), key=lambda history: (history.name, history.pid))

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Sample while the block lasts."""
        thread = threading.Thread(target=self._run, name="memory", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            self.sample()


def _name_now(pid: int) -> str:
    with suppress(OSError):
        return name_of(
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    return ""
