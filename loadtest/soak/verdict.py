"""From histories of memory to a table, and to yes or no."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from loadtest.soak.memory import History
from loadtest.soak.trend import Trend, trend
from recsys.core.errors import InputError

_MB = 1 << 20
_HOUR_S = 3_600.0
_ALIVE = 0.8  # of the time after warm-up, for a process to have a trend


@dataclass(frozen=True, slots=True)
class Row:
    """One process, in megabytes (2**20 bytes)."""

    name: str
    pid: int
    at_rest: float  # own memory, at the first sample
    warm: float  # own memory, at the end of the warm-up
    after: float  # own memory, at the last sample
    peak: float
    shared: float  # at the last sample
    per_hour: Trend | None  # None: it lived too short for one

    @property
    def rise(self) -> float:
        """How much more it holds than at the end of the warm-up."""
        return self.after - self.warm

    def grows(self, bound_mb_per_hour: float) -> bool:
        """Tell whether it surely grows faster than the bound."""
        return self.per_hour is not None and self.per_hour.low > bound_mb_per_hour


def rows(histories: Sequence[History], *, warm_up_s: float, until_s: float) -> list[Row]:
    """Return a row per process; its trend is that after ``warm_up_s``."""
    return [
        _row(history, warm_up_s, until_s)
        for history in histories
        if history.held and history.name != "something else"
    ]


def _row(history: History, warm_up_s: float, until_s: float) -> Row:
    at_s = np.array(history.at_s)
    own = np.array([held.own for held in history.held]) / _MB
    late = at_s >= warm_up_s
    lived_s = at_s[late][-1] - at_s[late][0] if late.any() else 0.0
    per_hour = None
    if lived_s >= _ALIVE * (until_s - warm_up_s):
        try:
            found = trend(at_s[late], own[late])
        except InputError:
            found = None
        if found is not None:
            per_hour = Trend(found.slope * _HOUR_S, found.low * _HOUR_S, found.high * _HOUR_S)
    return Row(
        history.name,
        history.pid,
        float(own[0]),
        float(own[late][0]) if late.any() else float(own[-1]),
        float(own[-1]),
        float(own.max()),
        history.held[-1].shared / _MB,
        per_hour,
    )
