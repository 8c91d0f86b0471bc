"""How fast a router answers when it is busy: what an expected wait is worked out from."""


class DrainRate:
    """Learns answers per second from batches that had others waiting behind them.

    A batch that nobody waits behind says how long one takes, not how many could have been answered, so it is
    left out. A rate that is too low corrects itself: whoever is turned away because of it counts as waiting.

    Args:
        gain: how far one batch moves the estimate, in (0, 1].
    """

    def __init__(self, gain: float = 0.2) -> None:
        self._gain = gain
        self._per_s = 0.0
        self._turned_away = False

    @property
    def per_s(self) -> float:
        """Answers per second; 0.0 while unknown."""
        return self._per_s

    def turned_away(self) -> None:
        """Note that somebody was refused: the router is as busy as it can be."""
        self._turned_away = True

    def answered(self, n: int, took_s: float, *, abreast: int, waiting: int) -> None:
        """Note the end of a batch.

        Args:
            n: requests in it.
            took_s: from its start to its end, in seconds.
            abreast: batches under way at its end, itself included: together they answer as many times more.
            waiting: requests behind it.
        """
        busy = waiting > 0 or self._turned_away
        self._turned_away = False
        if not busy or took_s <= 0.0:
            return
        now_per_s = abreast * n / took_s
        self._per_s += (now_per_s - self._per_s) * (self._gain if self._per_s else 1.0)
