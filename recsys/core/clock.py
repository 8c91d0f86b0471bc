"""Time is an argument: nothing below the edges reads the wall clock."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recsys.core.errors import FieldError

SECONDS_PER_HOUR = 3_600.0
SECONDS_PER_DAY = 86_400.0
SECONDS_PER_YEAR = 365.25 * SECONDS_PER_DAY
SIMULATED_CLOCK = "MARQUEE_SIMULATED_CLOCK"
"""Environment: for simulations alone, another time for all processes; see :func:`clock_of`."""

Clock = Callable[[], float]
"""Returns seconds; Unix time (UTC) unless its name says monotonic."""

machine_clock: Clock = time.time
"""Unix time of this machine, whatever is simulated: for what others have stamped by it."""
monotonic_clock: Clock = time.monotonic


def clock_of(text: str, machine: Clock = machine_clock) -> Clock:
    """Return a clock that stands still until a file is there, and from then on goes at its own pace.

    So that processes may take as long as they like to start.

    Args:
        text: ``WORLD_S,SPEED,FILE``: where it stands, seconds of it per second of the machine, and the file,
            whose time of change is when it begins to go.
        machine: Unix time.

    Raises:
        FieldError: the text does not say that.
    """
    try:
        world, pace, file = text.split(",", 2)
        world_s, speed = float(world), float(pace)
    except ValueError:
        raise FieldError(SIMULATED_CLOCK, repr(text), "WORLD_S,SPEED,FILE: two numbers and a path") from None
    return _SimulatedClock(world_s, speed, Path(file), machine)


@dataclass(slots=True)
class _SimulatedClock:
    world_s: float
    speed: float
    file: Path
    machine: Clock
    begins_s: float | None = None

    def __call__(self) -> float:
        if self.begins_s is None:
            try:
                self.begins_s = self.file.stat().st_mtime
            except FileNotFoundError:
                return self.world_s
        return self.world_s + max(0.0, self.machine() - self.begins_s) * self.speed


_simulated = os.environ.get(SIMULATED_CLOCK)
unix_clock: Clock = machine_clock if _simulated is None else clock_of(_simulated)
