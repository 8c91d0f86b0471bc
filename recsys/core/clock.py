"""Time is an argument: nothing below the edges reads the wall clock."""

import os
import time
from collections.abc import Callable

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
    """Return a clock that starts late, elsewhere, and at its own pace.

    Args:
        text: ``MACHINE_S,WORLD_S,SPEED``: until ``MACHINE_S`` of the machine's clock it stands at
            ``WORLD_S``; from then on it goes ``SPEED`` times as fast.
        machine: Unix time.

    Raises:
        FieldError: the text does not say that.

    >>> clock_of("100,5000,60", lambda: 103.0)()
    5180.0
    """
    try:
        begins_s, world_s, speed = (float(part) for part in text.split(","))
    except ValueError:
        raise FieldError(SIMULATED_CLOCK, repr(text), "MACHINE_S,WORLD_S,SPEED, three numbers") from None
    return lambda: world_s + max(0.0, machine() - begins_s) * speed


_simulated = os.environ.get(SIMULATED_CLOCK)
unix_clock: Clock = machine_clock if _simulated is None else clock_of(_simulated)
