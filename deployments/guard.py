"""Calls of stages that may be down or late: deadline, breaker and stop-watch in one place."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from deployments.breaker import Breaker
from deployments.metrics import STAGE_SECONDS
from deployments.settings import BreakerSettings
from recsys.core.clock import Clock
from recsys.core.errors import UnavailableError

Result = TypeVar("Result")

RESTING = "resting after failures"
DEADLINE = "deadline"


class Guard:
    """Guards the calls of one stage of one lane.

    Args:
        stage: its name, as answers give it.
        lane: which lane; empty for what is shared by all.
        deadline_s: how long a call may take.
        breaker: when the stage is left alone.
        clock: monotonic seconds.
    """

    def __init__(
        self, stage: str, lane: str, deadline_s: float, breaker: BreakerSettings, clock: Clock
    ) -> None:
        self.stage = stage
        self._lane = lane
        self._deadline_s = deadline_s
        self._breaker = Breaker(breaker.failures, breaker.rest_s, clock)
        self._clock = clock
        self._seconds = STAGE_SECONDS.labels(stage, lane)

    def allows(self) -> bool:
        """Return whether to call now."""
        return self._breaker.allows()

    def resting(self) -> UnavailableError:
        """Return what to say when it does not allow a call."""
        return UnavailableError(self.stage, RESTING)

    async def result(self, call: Awaitable[Result]) -> Result:
        """Wait for a call that was allowed.

        Raises:
            UnavailableError: the stage is down, or late: then the call is cancelled.
        """
        started_s = self._clock()
        try:
            async with asyncio.timeout(self._deadline_s):
                result = await call
        except TimeoutError as error:
            self._breaker.failed()
            raise UnavailableError(self.stage, DEADLINE) from error
        except UnavailableError:
            self._breaker.failed()
            raise
        finally:
            self._seconds.observe(self._clock() - started_s)
        self._breaker.succeeded()
        return result
