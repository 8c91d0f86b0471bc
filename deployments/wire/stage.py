"""One stage as a router sees it: replicas found through Ray Serve, called by wire."""

import asyncio
import logging
from collections.abc import Collection, Sequence
from typing import Final, Protocol, cast

from deployments.lane import Holding
from deployments.metrics import STAGE_CALLS
from deployments.wire.address import Address
from deployments.wire.frames import Packed, packed, unpacked
from deployments.wire.line import Line, LineLostError
from recsys.core.clock import Clock
from recsys.core.errors import UnavailableError

_log = logging.getLogger(__name__)

LOST: Final = "replicas lost"
_TRIES: Final = 2  # a batch that kills whoever takes it must not get them all
_LOOK_EVERY_S: Final = 2.0
_HOLDING: Final = "holding"
_HOLDING_S: Final = 2.0


class StageHandle(Protocol):
    """A stage as Ray Serve knows it."""

    async def call(self, method: str, arguments: Sequence[object]) -> object:
        """Call a method of some replica.

        Raises:
            UnavailableError: whatever went wrong.
        """
        ...

    async def holdings(self) -> list[Holding]:
        """Ask every replica there is.

        Raises:
            UnavailableError: not all of them answered, or there is none.
        """
        ...


class Stage:
    """Calls the replicas of one stage.

    Ray Serve says which replicas there are, and takes the calls as long as none of them can be reached by
    wire: right after the start, or when the last one has died.

    Args:
        name: ``recall`` or ``ranking``.
        handle: the stage as Ray Serve knows it.
        clock: monotonic seconds.
    """

    def __init__(self, name: str, handle: StageHandle, clock: Clock) -> None:
        self._name = name
        self._handle = handle
        self._clock = clock
        self._lines: dict[Address, Line] = {}
        self._look_again_s = float("-inf")

    async def call(self, method: str, arguments: Sequence[Packed]) -> Packed:
        """Call a method of the replica that has the least to do for us; when its line breaks, of another.

        Returns:
            the packed result.

        Raises:
            UnavailableError: the replica says why not, or two were lost over this call.
        """
        for _ in range(_TRIES):
            line = min(self._open_lines(), key=_n_under_way, default=None)
            if line is None:
                STAGE_CALLS.labels(self._name, "serve").inc()
                result = await self._handle.call(method, [unpacked(part) for part in arguments])
                return packed(result)
            STAGE_CALLS.labels(self._name, "wire").inc()
            try:
                return await line.call(method, arguments)
            except LineLostError as error:
                _log.warning("%s is asked again: %s", self._name, error)
        raise UnavailableError(self._name, LOST)

    async def holdings(self) -> list[Holding]:
        """Return what every replica holds; every two seconds, and after a loss, look for new replicas first.

        Raises:
            UnavailableError: not all of them answered.
        """
        lines = self._lines.values()
        if lines and self._clock() < self._look_again_s and all(line.is_open for line in lines):
            try:
                async with asyncio.timeout(_HOLDING_S):
                    answers = await asyncio.gather(*(line.call(_HOLDING, ()) for line in lines))
                return [cast("Holding", unpacked(answer)) for answer in answers]
            except (LineLostError, TimeoutError) as error:
                _log.info("looking for the replicas of %s: %s", self._name, repr(error))
        held = await self._handle.holdings()
        await self._keep({holding.address for holding in held if holding.address is not None})
        self._look_again_s = self._clock() + _LOOK_EVERY_S
        return held

    async def _keep(self, addresses: Collection[Address]) -> None:
        """Open lines to these replicas, as far as they can be reached, and retire all others."""
        for address in self._lines.keys() - addresses:
            self._lines.pop(address).retire()
        is_open = {line.address for line in self._open_lines()}
        opening = [Line.open(self._name, address) for address in addresses if address not in is_open]
        for line in await asyncio.gather(*opening, return_exceptions=True):
            if isinstance(line, Line):
                self._lines[line.address] = line
            elif isinstance(line, LineLostError):
                _log.warning("a replica of %s cannot be reached: %s", self._name, line)
            else:
                raise line

    def _open_lines(self) -> list[Line]:
        return [line for line in self._lines.values() if line.is_open]


def _n_under_way(line: Line) -> int:
    return line.n_under_way
