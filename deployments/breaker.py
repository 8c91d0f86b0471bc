"""A stage that keeps failing is left alone for a while, so that nobody waits for it in vain."""

from recsys.core.clock import Clock


class Breaker:
    """Counts failures in a row; after enough of them only one call per rest period gets through.

    Args:
        failures: so many in a row open it.
        rest_s: how long it lets nothing through before it lets one try.
        clock: monotonic seconds.
    """

    def __init__(self, failures: int, rest_s: float, clock: Clock) -> None:
        self._limit = failures
        self._rest_s = rest_s
        self._clock = clock
        self._failures = 0
        self._next_try_s = 0.0

    def allows(self) -> bool:
        """Return whether to call now; whoever is told so says afterwards how it went."""
        if self._failures < self._limit:
            return True
        now_s = self._clock()
        if now_s < self._next_try_s:
            return False
        self._next_try_s = now_s + self._rest_s  # one try at a time
        return True

    def succeeded(self) -> None:
        """Close it."""
        self._failures = 0

    def failed(self) -> None:
        """Count a failure."""
        self._failures += 1
        if self._failures >= self._limit:
            self._next_try_s = self._clock() + self._rest_s
