"""Where and when figures were taken."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict


class Machine(TypedDict):
    """What a figure has to be read with."""

    processor: str
    cores: int
    memory_gib: int
    system: str
    date: str
    load_before: float  # processes that wanted to run, on average of the minute before


def this_machine(now_s: float) -> Machine:
    """Describe this machine.

    Args:
        now_s: Unix time.
    """
    return Machine(
        processor=_field("/proc/cpuinfo", "model name") or platform.machine(),
        cores=os.cpu_count() or 1,
        memory_gib=round(int((_field("/proc/meminfo", "MemTotal") or "0").split()[0]) / 2**20),
        system=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        date=datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%d %H:%M UTC"),
        load_before=round(os.getloadavg()[0], 2),
    )


def in_words(machine: Machine) -> str:
    """Return one line about a machine."""
    return (
        f"{machine['cores']} cores of {machine['processor']}, {machine['memory_gib']} GiB, "
        f"{machine['system']}, {machine['date']}, load before {machine['load_before']}"
    )


def _field(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
