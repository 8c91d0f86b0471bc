"""Answers leave in one piece, so that a router killed under load loses none.

uvicorn writes the head of an answer, then its body. A router killed between the two leaves a head without a
body: HAProxy has passed the head on and can no longer ask another router. Written at once, an answer is there
or it is not, and then HAProxy repeats the request (``retry-on empty-response``).
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

_HEAD = "marquee.head"  # in the scope, while a head waits for its body


class _Gathered:
    """Stands in for a transport while an answer is put together."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._parts: list[bytes] = []
        self._close = False

    def write(self, data: bytes) -> None:
        """Keep a part."""
        self._parts.append(data)

    def close(self) -> None:
        """Remember to close behind the last part."""
        self._close = True

    def leave(self) -> None:
        """Write all parts at once."""
        if self._parts:
            self._transport.write(b"".join(self._parts))
        if self._close:
            self._transport.close()

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)


def write_answers_whole() -> None:
    """Change uvicorn in this process; once is enough."""
    send = RequestResponseCycle.send
    if send.__module__ == __name__:
        return

    async def send_whole(self: Any, message: Any) -> None:  # noqa: ANN401 - uvicorn's own, loosely typed
        if message["type"] == "http.response.start" and not self.response_started:
            self.scope[_HEAD] = message
            return
        head = self.scope.pop(_HEAD, None)
        if head is None:
            await send(self, message)
            return
        transport = self.transport
        gathered = _Gathered(transport)
        self.transport = gathered
        try:
            await send(self, head)
            await send(self, message)
        finally:
            self.transport = transport
            gathered.leave()

    RequestResponseCycle.send = send_whole  # type: ignore[method-assign]
