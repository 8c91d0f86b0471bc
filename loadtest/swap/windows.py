"""Requests sorted by whether a swap was under way when they were due."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Swap:
    """One swap, in monotonic seconds."""

    began_s: float  # the document was written
    in_force_s: float  # the router that answers goes by it


@dataclass(frozen=True, slots=True)
class Ended:
    """One request."""

    due_s: float  # monotonic
    took_s: float  # from then to its answer


@dataclass(frozen=True, slots=True)
class Comparison:
    """Latencies before swaps and during them, in seconds."""

    before: tuple[float, ...]
    during: tuple[float, ...]

    def ratio(self, percentile: float) -> float:
        """Return how many times larger a percentile is during swaps; NaN when one side has no request."""
        if not self.before or not self.during:
            return float("nan")
        return float(np.percentile(self.during, percentile) / np.percentile(self.before, percentile))


def compare(ended: Sequence[Ended], swaps: Sequence[Swap], window_s: float) -> Comparison:
    """Split requests: those due within ``window_s`` from a swap on, and those within ``window_s`` before one.

    Windows are equally long and lie side by side, so that whatever else happens on the machine meets both.

    Args:
        ended: all requests.
        swaps: at least twice ``window_s`` apart.
        window_s: must be long enough for a swap to come into force.
    """
    due_s = np.array([one.due_s for one in ended])
    took_s = np.array([one.took_s for one in ended])
    before, during = np.zeros(due_s.size, dtype=bool), np.zeros(due_s.size, dtype=bool)
    for swap in swaps:
        before |= (due_s >= swap.began_s - window_s) & (due_s < swap.began_s)
        during |= (due_s >= swap.began_s) & (due_s < swap.began_s + window_s)
    return Comparison(tuple(took_s[before].tolist()), tuple(took_s[during].tolist()))
