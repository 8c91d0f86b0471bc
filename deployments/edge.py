"""What happens to every request, whatever it asks: its id, its size, its problem document, its figures."""

import asyncio
import logging
import re
from http import HTTPStatus
from uuid import uuid4

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.metrics import REQUEST_SECONDS, REQUESTS
from deployments.problems import RefusalError, Wrong, problem_response
from deployments.settings import Limits
from recsys.core.clock import Clock

_log = logging.getLogger(__name__)
_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_ID_HEADER = b"x-request-id"
_UNKNOWN_ROUTE = "unknown"
_STATE_ID = "request_id"

ARRIVED_S = "marquee.arrived_s"
"""In the scope: when the request reached HAProxy, in monotonic seconds."""

OVERLOADED = "marquee.overloaded"
"""In the scope: this request gets the popular list, because there is no room for it."""

RATE_HEADERS = "marquee.rate_headers"
"""In the scope: further headers of the answer, which tell a client about its rate."""

_HUNG_UP = 499  # nginx's number for a client that did not wait
_CLOSE = (("Connection", "close"),)  # nobody waits for the rest of the request
_NOT_AN_ID = RefusalError(
    HTTPStatus.BAD_REQUEST,
    "X-Request-Id is not an id",
    (Wrong("X-Request-Id", "something else", "1 to 128 of A-Z a-z 0-9 . _ : -"),),
)

SORRY = RefusalError(HTTPStatus.INTERNAL_SERVER_ERROR, "a bug; the log has it under the request id")
"""What is said of bugs: nothing of them."""

PREFIX = "/v1"
"""Every path stands without it as well as under it."""


def request_id_of(request: Request) -> str:
    """Return the id that this request's answer carries."""
    request_id: str = request.scope[_STATE_ID]
    return request_id


class Edge:
    """The outermost ASGI application: gives every answer its ``X-Request-Id`` and every error its document.

    Args:
        app: everything else.
        clock: monotonic seconds.
        adds_id: False when what stands before it (Ray Serve does) adds the id to answers itself.
    """

    def __init__(self, app: ASGIApp, clock: Clock, *, adds_id: bool = True) -> None:
        self._app = app
        self._clock = clock
        self._added = [_ID_HEADER] if adds_id else []

    def behind_one_that_adds_ids(self) -> "Edge":
        """Return the same for requests that come through Ray Serve's own layers."""
        return Edge(self._app, self._clock, adds_id=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_s = self._clock()
        request_id, sane = request_id_in(scope)
        scope[_STATE_ID] = request_id
        added = [(name, request_id.encode()) for name in self._added] + scope.get(RATE_HEADERS, [])
        status = 0  # none sent yet

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        try:
            if sane:
                await self._app(scope, receive, send_with_id)
            else:
                await problem_response(_NOT_AN_ID, request_id)(scope, receive, send_with_id)
        except ClientDisconnect:
            pass  # nobody is there to be answered
        except Exception:  # noqa: BLE001 - the last line: a bug is logged and answered, never shown
            _log.exception("request %s met a bug", request_id)
            if not status:
                await problem_response(SORRY, request_id)(scope, receive, send_with_id)
        finally:
            route = getattr(scope.get("route"), "path", _UNKNOWN_ROUTE).removeprefix(PREFIX)
            REQUESTS.labels(route, str(status or _HUNG_UP)).inc()
            REQUEST_SECONDS.labels(route).observe(self._clock() - started_s)


async def body_of(request: Request, limits: Limits) -> bytes:
    """Return the body of a request.

    Raises:
        RefusalError: it is too long (what comes behind the limit is not read), or too slow.
    """
    max_bytes = limits.max_body_bytes
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit():
        raise RefusalError(HTTPStatus.BAD_REQUEST, f"Content-Length is {declared!r}, not a number")
    if int(declared) > max_bytes:
        raise _too_large(f"{declared} bytes", max_bytes)
    parts, size = [], 0
    try:
        async with asyncio.timeout(limits.body_s):
            async for part in request.stream():
                size += len(part)
                if size > max_bytes:
                    raise _too_large(f"more than {size - 1} bytes", max_bytes)
                parts.append(part)
    except TimeoutError as error:
        slow = Wrong("body", f"{size} bytes in {limits.body_s:g} s", "all of it in that time")
        raise RefusalError(HTTPStatus.REQUEST_TIMEOUT, str(slow), (slow,), _CLOSE) from error
    return b"".join(parts)


def _too_large(got: str, max_bytes: int) -> RefusalError:
    wrong = Wrong("body", got, f"at most {max_bytes} bytes")
    return RefusalError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(wrong), (wrong,), _CLOSE)


def request_id_in(scope: Scope) -> tuple[str, bool]:
    """Return the client's id, or a new one; and whether the client's, if there is one, is sane."""
    for name, value in scope["headers"]:
        if name == _ID_HEADER:
            sane = _SANE_ID.fullmatch(value) is not None
            return (value.decode(), True) if sane else (uuid4().hex, False)
    return uuid4().hex, True
