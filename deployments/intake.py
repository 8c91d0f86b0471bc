"""Events and erasures: on disk first, then into the user state."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from deployments.metrics import EVENT_EFFECT_SECONDS, EVENTS, STATE_ERRORS
from recsys.core.clock import Clock, monotonic_clock
from recsys.core.errors import UnavailableError
from recsys.data.events import Event
from recsys.eventlog.entry import Entry, Erasure
from recsys.state.store import UserStateStore

_log = logging.getLogger(__name__)

LATER = "later"
_MAX_LATER = 100_000

Result = TypeVar("Result")


class DurableLog(Protocol):
    """What is needed of an :class:`recsys.eventlog.log.EventLog`."""

    async def append_soon(self, entries: Sequence[Entry]) -> None:
        """Append entries and return once they are on the disk; UnavailableError when that is not known."""
        ...


class Intake:
    """Takes events in. What is acknowledged survives any crash; what the state misses is applied later.

    Args:
        log: where everything goes first.
        state: what the next answers are made from.
        deadline_s: how long the state may take before an event is acknowledged without it.
        clock: monotonic seconds.
    """

    def __init__(
        self, log: DurableLog, state: UserStateStore, *, deadline_s: float, clock: Clock = monotonic_clock
    ) -> None:
        self._clock = clock
        self._log = log
        self._state = state
        self._deadline_s = deadline_s
        # with when each came; the log has them all: replay finds the rest
        self._later: deque[tuple[float, Entry]] = deque(maxlen=_MAX_LATER)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="state-writes")  # in order

    async def take(self, events: Sequence[Event]) -> list[str]:
        """Bring events to the disk and apply them; return what became of each.

        Raises:
            UnavailableError: they are not known to be on the disk: send them again.
        """
        since_s = self._clock()
        await self._log.append_soon(events)
        fates = await self._now_or_later(
            events,
            lambda: [str(fate) for fate in self._state.apply(events)],
            [LATER] * len(events),
            since_s,
        )
        if LATER not in fates:
            EVENT_EFFECT_SECONDS.observe(self._clock() - since_s)
        for fate in fates:
            EVENTS.labels(fate).inc()
        return fates

    async def erase(self, names: Sequence[str], at_s: float) -> str:
        """Forget a user; return ``erased``, or ``later`` when the state cannot be reached.

        Args:
            names: all that the user is called.
            at_s: Unix time up to which everything goes.

        Raises:
            UnavailableError: the erasure is not known to be on the disk: ask again.
        """
        since_s = self._clock()
        erasures = [Erasure(user_id=name, at_s=at_s) for name in names]
        await self._log.append_soon(erasures)

        def erase() -> str:
            for name in names:
                self._state.erase(name, at_s)
            return "erased"

        return await self._now_or_later(erasures, erase, LATER, since_s)

    @property
    def n_later(self) -> int:
        """How many entries wait for the state to come back."""
        return len(self._later)

    async def catch_up(self) -> None:
        """Apply what waits; UnavailableError is swallowed, for it goes on waiting then."""
        while self._later:
            since_s, entry = self._later[0]
            try:
                await asyncio.get_running_loop().run_in_executor(self._thread, self._apply_one, entry)
            except UnavailableError as error:
                _log.warning("%d entries wait for the user state: %s", len(self._later), error)
                return
            self._later.popleft()
            EVENT_EFFECT_SECONDS.observe(self._clock() - since_s)

    def close(self) -> None:
        """Let the thread end; what waits is in the log."""
        self._thread.shutdown(wait=False)

    def _apply_one(self, entry: Entry) -> None:
        if isinstance(entry, Erasure):
            self._state.erase(entry.user_id, entry.at_s)
        else:
            self._state.apply([entry])

    async def _now_or_later(
        self, entries: Sequence[Entry], apply: Callable[[], Result], otherwise: Result, since_s: float
    ) -> Result:
        """Apply entries in the thread; when that fails or is late they wait (twice changes nothing)."""
        call = asyncio.get_running_loop().run_in_executor(self._thread, apply)
        try:
            return await asyncio.wait_for(call, self._deadline_s)
        except (UnavailableError, TimeoutError) as error:
            STATE_ERRORS.labels("write").inc()
            _log.warning("the user state missed %d entries: %s", len(entries), error)
            self._later.extend((since_s, entry) for entry in entries)
            return otherwise
