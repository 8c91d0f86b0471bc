"""Reading user states without holding up the event loop for longer than a thread would cost."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from recsys.core.clock import Clock
from recsys.state.store import UserState, UserStateStore

_N_THREADS = 4
_PROMPT_S = 0.005
_REST_S = 1.0


class StateReader:
    """Reads a local store at once, any other in threads.

    To hand a read to a thread and its result back costs a request that comes alone more than the read of a
    local file does. When such a read takes longer than 5 ms (a slow disk), threads read for a second.

    Args:
        store: where the states are.
        clock: monotonic seconds.
    """

    def __init__(self, store: UserStateStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._in_threads_until_s = float("-inf") if store.is_local else float("inf")
        self._threads = ThreadPoolExecutor(_N_THREADS, thread_name_prefix="user-state")

    async def read(self, user_ids: Sequence[str]) -> list[UserState]:
        """Return the states of many users, in the order asked.

        Raises:
            UnavailableError: the store cannot be reached.
        """
        started_s = self._clock()
        if started_s < self._in_threads_until_s:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._store.read, user_ids)
        try:
            return self._store.read(user_ids)
        finally:
            ended_s = self._clock()
            if ended_s - started_s > _PROMPT_S:
                self._in_threads_until_s = ended_s + _REST_S

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)
