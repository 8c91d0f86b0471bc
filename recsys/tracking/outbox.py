"""Nobody waits for a tracking server: what it does not take now, it is told later."""

from collections import deque
from collections.abc import Callable

from recsys.core.clock import Clock
from recsys.core.errors import UnavailableError
from recsys.tracking.run import Action, Tracking


class Outbox:
    """Tells things in order. After a failure it rests, so that a server that is down costs next to nothing.

    A failed action stays the first in line. The first failure is warned of, the others are not; whoever made
    the box looks at :attr:`fault` in the end.
    """

    def __init__(
        self, tracking: Tracking, clock: Clock, warn: Callable[[str], None], *, rest_s: float = 60.0
    ) -> None:
        """Tell nothing yet.

        Args:
            tracking: who is told.
            clock: monotonic.
            warn: is given one sentence, once.
            rest_s: seconds after a failure in which nothing is tried.
        """
        self._tracking = tracking
        self._clock = clock
        self._warn = warn
        self._rest_s = rest_s
        self._rests_until_s = float("-inf")
        self._waiting: deque[Action] = deque()
        self._warned = False
        self.fault: str | None = None  # why the first in line could not be told; None when none waits

    @property
    def n_waiting(self) -> int:
        """Return how many things are still to be told."""
        return len(self._waiting)

    def tell(self, action: Action) -> None:
        """Tell one thing after all that wait, now or later."""
        self._waiting.append(action)
        if self._clock() >= self._rests_until_s:
            self.flush()

    def flush(self) -> None:
        """Try to tell everything that waits."""
        while self._waiting:
            try:
                self._waiting[0](self._tracking)
            except UnavailableError as error:
                self._failed(error)
                return
            self._waiting.popleft()
        self.fault = None

    def _failed(self, error: UnavailableError) -> None:
        self.fault = str(error)
        self._rests_until_s = self._clock() + self._rest_s
        if not self._warned:
            self._warned = True
            self._warn(f"{error}; going on without it")
