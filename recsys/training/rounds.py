"""The same work again and again, at a steady pace, whatever one round meets."""

from collections.abc import Callable
from itertools import count

from recsys.core.clock import Clock
from recsys.core.errors import RecsysError

_FIRST_RETRY_S = 60.0


def in_rounds(
    work: Callable[[], None],
    every_s: float,
    *,
    clock: Clock,
    sleep: Callable[[float], None],
    on_failure: Callable[[Exception, float], None],
    n_rounds: int | None = None,
) -> None:
    """Do the work every ``every_s`` seconds, one round after another and never two at once.

    A round that fails is told and tried again after a minute, then two, four, ..., but never later than its
    successor would have begun. A round that takes longer than ``every_s`` is followed at once.

    Args:
        work: one round; leaves nothing half done when it raises.
        every_s: from the beginning of a round to that of the next, positive.
        clock: monotonic.
        sleep: waits so many seconds.
        on_failure: is told the error and the seconds until the next try.
        n_rounds: tries in all; None: until something that is no failure, like Ctrl-C, ends it.
    """
    failures = 0
    for number in count(1):
        began_s = clock()
        failed: Exception | None = None
        try:
            work()
            failures = 0
        except (RecsysError, OSError) as error:  # a full disk may be empty again in an hour
            failed = error
        left_s = max(0.0, began_s + every_s - clock())
        if failed is not None:
            left_s = min(left_s, _FIRST_RETRY_S * 2.0**failures)
            failures += 1
            on_failure(failed, left_s)
        if number == n_rounds:
            return
        sleep(left_s)
