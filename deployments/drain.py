"""How fast a router answers when it is busy: what an expected wait is worked out from."""

from math import exp

from recsys.core.clock import Clock

_KNOWN_S = 0.05  # of busy time: what ends within less says little, for batches end in bunches


class DrainRate:
    """Learns answers per second, from the times between the ends of batches while more was asked.

    A time in which nobody waited says how much was asked, not how much could have been answered, so it is
    left out. A rate that is too low corrects itself: whoever is turned away because of it counts as waiting.
    If nothing at all is answered any more, the rate is forgotten: else nobody would be let in who could show
    that it was wrong.

    Args:
        clock: monotonic seconds.
        memory_s: what is older than this counts for little; after so long without any batch, refusing
            somebody makes it forget everything.
    """

    def __init__(self, clock: Clock, *, memory_s: float = 1.0) -> None:
        self._clock = clock
        self._memory_s = memory_s
        self._ended_s = clock()
        self._busy = False  # at the end of the last batch
        self._turned_away = False  # somebody, since then
        self._n = self._in_s = 0.0

    @property
    def per_s(self) -> float:
        """Answers per second; 0.0 while unknown."""
        return self._n / self._in_s if self._in_s >= _KNOWN_S else 0.0

    def turned_away(self) -> None:
        """Note that somebody was refused: the router is as busy as it can be."""
        self._turned_away = True
        if self._clock() - self._ended_s > self._memory_s:
            self._n = self._in_s = 0.0

    def answered(self, n: int, *, waiting: int) -> None:
        """Note the end of a batch of ``n`` requests that has ``waiting`` others behind it."""
        now_s = self._clock()
        passed_s, self._ended_s = now_s - self._ended_s, now_s
        was_busy, self._busy = self._busy, waiting > 0 or self._turned_away
        self._turned_away = False
        if was_busy and self._busy:
            kept = exp(-passed_s / self._memory_s)
            self._n = kept * self._n + n
            self._in_s = kept * self._in_s + passed_s
