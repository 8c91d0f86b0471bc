"""Time is an argument: nothing below the edges reads the wall clock."""

import time
from collections.abc import Callable

SECONDS_PER_HOUR = 3_600.0
SECONDS_PER_DAY = 86_400.0
SECONDS_PER_YEAR = 365.25 * SECONDS_PER_DAY

Clock = Callable[[], float]
"""Returns seconds; Unix time (UTC) unless its name says monotonic."""

unix_clock: Clock = time.time
monotonic_clock: Clock = time.monotonic
