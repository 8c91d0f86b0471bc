"""The end of the wire at a stage: answers the calls of routers, one after the other."""

import asyncio
import hmac
import logging
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, cast

from deployments.wire.address import Address
from deployments.wire.frames import MOST_BYTES, Frame, FrameError, FrameReader, Kind, frame, packed, unpacked
from recsys.core.errors import UnavailableError

_log = logging.getLogger(__name__)

OVERLOADED: Final = "overloaded"
_HELLO_S: Final = 5.0
_HELLO_BYTES: Final = 256
_BACKLOG: Final = 64

Method = Callable[..., Awaitable[object]]


class Listener:
    """Answers the calls of routers in the order in which they come.

    One at a time: the work holds the interpreter anyway, and who came first is answered first.

    Args:
        methods: by name; what they raise reaches the caller as UnavailableError.
        host: where to listen; the port is any that is free.
        max_waiting: calls that wait for the one under way; more are refused.
    """

    def __init__(self, methods: Mapping[str, Method], *, host: str, max_waiting: int) -> None:
        self._methods = methods
        self._max_waiting = max_waiting
        self._waiting: dict[tuple[_Door, int], Frame] = {}  # in the order of arrival
        self._working: asyncio.Task[None] | None = None
        self._doors: set[_Door] = set()
        self._socket = socket.create_server((host, 0), backlog=_BACKLOG)
        self.address = Address(host, self._socket.getsockname()[1], secrets.token_bytes(32))
        self._loop = asyncio.get_running_loop()
        self._server: asyncio.Server | None = None
        self._opening = self._loop.create_task(self._open())

    @property
    def n_waiting(self) -> int:
        """Calls that nobody works on yet."""
        return len(self._waiting)

    def close(self) -> None:
        """Stop at once. Who still waits loses the line, and asks another replica."""
        self._opening.cancel()
        if self._server is None:
            self._socket.close()
        else:
            self._server.close()
        if self._working is not None:
            self._working.cancel()
        for door in list(self._doors):
            door.close()

    async def _open(self) -> None:
        self._server = await self._loop.create_server(lambda: _Door(self), sock=self._socket)

    def opened(self, door: "_Door") -> None:
        """Remember a connection, to close it in the end."""
        self._doors.add(door)

    def lost(self, door: "_Door") -> None:
        """Forget a connection and what came by it."""
        self._doors.discard(door)
        self._waiting = {key: call for key, call in self._waiting.items() if key[0] is not door}

    def came(self, door: "_Door", call: Frame) -> None:
        """Take a call or what takes it back."""
        if call.kind is Kind.CANCEL:
            self._waiting.pop((door, call.call), None)
        elif call.kind is not Kind.CALL:
            raise FrameError(f"a {call.kind.name} frame, expected CALL or CANCEL")
        elif len(self._waiting) >= self._max_waiting:
            door.send(Kind.REFUSAL, call.call, packed(OVERLOADED))
        else:
            self._waiting[door, call.call] = call
            if self._working is None:
                self._working = self._loop.create_task(self._work())

    async def _work(self) -> None:
        try:
            while self._waiting:
                (door, number), call = next(iter(self._waiting.items()))
                del self._waiting[door, number]
                kind, answer = await self._answer(call)
                door.send(kind, number, answer)
                await asyncio.sleep(0)  # what has come meanwhile may take back what waits
        finally:
            self._working = None

    async def _answer(self, call: Frame) -> tuple[Kind, bytes]:
        try:
            name, *arguments = (unpacked(part) for part in call.parts)
            return Kind.RESULT, packed(await self._methods[str(name)](*arguments))
        except UnavailableError as error:
            return Kind.REFUSAL, packed(str(error.args[-1]))
        except Exception as error:  # noqa: BLE001 - a bug in a stage is logged, and its caller hears of it
            _log.exception("a call failed")
            return Kind.REFUSAL, packed(type(error).__name__)


class _Door(asyncio.Protocol):
    """One connection from a router."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._frames = FrameReader(_HELLO_BYTES)
        self._transport: asyncio.Transport | None = None
        self._hurry: asyncio.TimerHandle | None = None
        self._is_known = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop has classes of its own
        self._hurry = asyncio.get_running_loop().call_later(_HELLO_S, self.close)
        self._listener.opened(self)

    def data_received(self, data: bytes) -> None:
        try:
            for came in self._frames.feed(data):
                if self._is_known:
                    self._listener.came(self, came)
                else:
                    self._greet(came)
        except FrameError as error:
            _log.warning("a connection is closed: %s", error)
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._hurry is not None:
            self._hurry.cancel()
        self._listener.lost(self)

    def send(self, kind: Kind, call: int, answer: bytes) -> None:
        """Answer a call; nobody, when the connection is gone."""
        if self._transport is not None:
            self._transport.writelines(frame(kind, call, [answer]))

    def close(self) -> None:
        """End the connection, after what has been written."""
        if self._transport is not None:
            self._transport.close()

    def _greet(self, came: Frame) -> None:
        said = bytes(came.parts[0]) if came.kind is Kind.HELLO and came.parts else b""
        if not hmac.compare_digest(said, self._listener.address.hello):
            raise FrameError(
                "the caller does not know the secret, or speaks another version of this protocol"
            )
        self._is_known = True
        self._frames.most_bytes = MOST_BYTES
        if self._hurry is not None:
            self._hurry.cancel()
