"""The end of the wire at a router: one connection to one replica of a stage."""

import asyncio
import itertools
import logging
import socket
from collections.abc import Sequence
from typing import Final, cast

from deployments.wire.address import Address
from deployments.wire.frames import Frame, FrameError, FrameReader, Kind, Packed, frame, packed, unpacked
from recsys.core.errors import UnavailableError

_log = logging.getLogger(__name__)

_OPEN_S: Final = 2.0
_SILENCE_MS: Final = 5_000  # a machine that is gone says nothing: after so long the line counts as broken


class LineLostError(Exception):
    """The replica is gone, or cannot be reached; somebody else may have to be asked."""


class Line(asyncio.Protocol):
    """One open connection. Calls overlap; their answers come in any order.

    Args:
        stage: its name, for errors.
        address: of the replica.
    """

    def __init__(self, stage: str, address: Address) -> None:
        self.address = address
        self._stage = stage
        self._frames = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._numbers = itertools.count(1)
        self._under_way: dict[int, asyncio.Future[memoryview]] = {}
        self._is_retired = False

    @classmethod
    async def open(cls, stage: str, address: Address) -> "Line":
        """Connect.

        Raises:
            LineLostError: nobody answers there.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_OPEN_S):
                _, line = await loop.create_connection(
                    lambda: cls(stage, address), address.host, address.port
                )
        except (OSError, TimeoutError) as error:
            raise LineLostError(f"{address}: {error}") from error
        return line

    @property
    def is_open(self) -> bool:
        """Whether calls can be made."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def n_under_way(self) -> int:
        """Calls without an answer so far."""
        return len(self._under_way)

    async def call(self, method: str, arguments: Sequence[Packed]) -> memoryview:
        """Call a method of the replica; giving up takes the call back.

        Returns:
            the packed result.

        Raises:
            UnavailableError: the replica says why not.
            LineLostError: the connection broke.
        """
        if self._transport is None:
            raise LineLostError(f"{self.address}: closed")
        number = next(self._numbers)
        answer: asyncio.Future[memoryview] = asyncio.get_running_loop().create_future()
        self._under_way[number] = answer
        self._transport.writelines(frame(Kind.CALL, number, [packed(method), *arguments]))
        try:
            return await answer
        except asyncio.CancelledError:
            if self._transport is not None:
                self._transport.writelines(frame(Kind.CANCEL, number))
            raise
        finally:
            self._under_way.pop(number, None)
            self._close_if_done()

    def retire(self) -> None:
        """Close as soon as the last call under way has its answer."""
        self._is_retired = True
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self._is_retired and not self._under_way and self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say the secret; asyncio calls this."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop has classes of its own
        connection = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENCE_MS)
        self._transport.writelines(frame(Kind.HELLO, 0, [self.address.hello]))

    def data_received(self, data: bytes) -> None:
        """Hand out answers; asyncio calls this."""
        try:
            for came in self._frames.feed(data):
                self._came(came)
        except FrameError as error:
            _log.warning("the line to %s is closed: %s", self.address, error)
            if self._transport is not None:
                self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits; asyncio calls this."""
        self._transport = None
        for answer in self._under_way.values():
            if not answer.done():
                answer.set_exception(LineLostError(f"{self.address}: {exc or 'closed'}"))

    def _came(self, came: Frame) -> None:
        answer = self._under_way.get(came.call)
        if answer is None or answer.done():
            return  # nobody waits for it any more
        if came.kind is Kind.RESULT:
            answer.set_result(came.parts[0])
        else:
            answer.set_exception(UnavailableError(self._stage, str(unpacked(came.parts[0]))))
