"""The files in which the processes of a machine, or of a pod, add up their figures; a page made of them.

Counters and histograms of processes that have died still count. Gauges say what is so now: those of a process
count while it holds the lock of its ``alive`` file, which the kernel takes from it when it dies. Process ids
would not do, for an exporter in a container of its own sees none but its own.

Nothing here defines a metric: whoever does takes part, and an exporter must not.
"""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, cast

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_NOW = "gauge_live"
_VALUE_BYTES = 16  # a value and its time

# These come without types.
_add_up = cast("Callable[[list[str]], Iterable[Metric]]", MultiProcessCollector.merge)
_values_in = cast(
    "Callable[[str], Iterable[tuple[str, float, float, int]]]", MmapedDict.read_all_values_from_file
)


def stay_alive(folder: Path) -> IO[str]:
    """Let the gauges of this process count, until the file that is returned is closed or the process ends.

    They begin at zero: a container that has started anew has process ids of before, and finds their files.
    """
    for path in folder.glob(f"{_NOW}*_{os.getpid()}.db"):
        places = [place for *_, place in _values_in(str(path))]
        with path.open("r+b") as values:
            for place in places:
                values.seek(place)
                values.write(bytes(_VALUE_BYTES))
    file = _alive(folder, str(os.getpid())).open("w")
    fcntl.flock(file, fcntl.LOCK_EX)  # a reader holds it for a moment at most
    return file


def page(folder: Path | None) -> bytes:
    """Return all figures as Prometheus reads them.

    Args:
        folder: where the processes have their files, which may not be there yet; None: of this process alone.
    """
    if folder is None:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    registry.register(_Files(folder))
    return generate_latest(registry)


class _Files(Collector):
    """What stands in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        """Return every metric, added up."""
        return _add_up([str(path) for path in self._counting()])

    def _counting(self) -> Iterator[Path]:
        for path in sorted(self._folder.glob("*.db")):
            process_id = path.stem.rpartition("_")[2]
            if path.name.startswith(_NOW) and not _lives(self._folder, process_id):
                continue
            if path.stat().st_size:  # empty for a moment when it is new
                yield path


def _lives(folder: Path, process_id: str) -> bool:
    try:
        with _alive(folder, process_id).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _alive(folder: Path, process_id: str) -> Path:
    return folder / f"alive_{process_id}"
