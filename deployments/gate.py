"""The first thing that happens to a request, before anything is made of it: it is let in, or sent away.

``judge`` looks at the path and the headers alone. What it says no to is answered with bytes that are put
together in a few microseconds; :mod:`deployments.front_door` writes them before uvicorn has made a task of
the request.
"""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from random import Random
from typing import Any

from deployments.admission import Room, Rooms
from deployments.batching import FULL
from deployments.client_rates import ClientRates, Told
from deployments.edge import ARRIVED_S, OVERLOADED, PREFIX, RATE_HEADERS, request_id_in
from deployments.metrics import RATE_LIMITED, SHED
from deployments.overload_settings import OverloadSettings, Rate, WhenFull
from deployments.proxy_patience import ARRIVED_HEADER
from deployments.rate_limit import TokenBucket
from deployments.retry_after import retry_after_s
from recsys.core.clock import Clock

LARGE_BODY_BYTES = 64 << 10
"""Longer ones do not come in one piece: HAProxy gathers a request up to here."""

_ARRIVED = ARRIVED_HEADER.encode()
_MS_DIGITS = 13  # until the year 2286
_LONGEST_WAY_S = 60.0  # whatever is longer is a clock that goes wrong
_SERVE = "-"  # Ray Serve's own paths, /-/healthz: HAProxy asks there whether this process lives
_BY_FIRST_PART = {
    "recommend": "recommend",
    "similar": "recommend",
    "events": "events",
    "users": "events",
    "healthz": "probes",
    "readyz": "probes",
    "metrics": "probes",
}

Scope = MutableMapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that is not let in; the answer is ready to be written."""

    answer: bytes


class Gate:
    """Decides who gets in.

    Args:
        rooms: how many are inside, per kind.
        rates: how often each client may ask; None for no limits.
        settings: what is done when there is no room.
        clock: monotonic seconds.
        unix_clock: Unix seconds, as HAProxy has them.
        chance: spreads the moments at which clients come back.
    """

    def __init__(
        self,
        rooms: Rooms,
        rates: ClientRates | None,
        settings: OverloadSettings,
        *,
        clock: Clock,
        unix_clock: Clock,
        chance: Random,
    ) -> None:
        self._clock = clock
        self._unix_clock = unix_clock
        self._rooms = rooms
        self._rates = rates
        self._spread_s = settings.retry_spread_s
        self._chance = chance
        self._popular: TokenBucket | None = None
        if settings.when_full is WhenFull.POPULAR:
            per_s = settings.popular_per_s
            self._popular = TokenBucket(Rate(per_s=per_s, burst=max(1, int(per_s / 10))), clock)

    def judge(self, scope: Scope) -> "Refused | Inside":
        """Let a request in, or say how it is answered instead."""
        room = self._room_for(scope["path"])
        if room is None:
            return Inside(None)
        headers = dict(scope["headers"])
        waited_s = self._on_its_way_s(headers)
        scope[ARRIVED_S] = self._clock() - waited_s
        why = room.refuses(waited_s)
        if why:
            if room is not self._rooms.recommend or not self._gets_popular():
                return self._shed(room, why, scope)
            scope[OVERLOADED] = True
            room = self._rooms.reads
        large = _is_large(headers)
        if large and self._rooms.large_bodies.refuses():
            return self._shed(self._rooms.large_bodies, FULL, scope)
        if self._rates is not None and room is not self._rooms.probes:
            address = (scope.get("client") or ("",))[0]
            told = self._rates.take(headers, address)
            if told is not None and not told.allowance.allowed:
                return self._limited(told, scope)
            if told is not None:
                scope[RATE_HEADERS] = told.headers()
        return Inside(self._rooms.large_bodies if large else room)  # a slow body is no sign of a long queue

    def _on_its_way_s(self, headers: Mapping[bytes, bytes]) -> float:
        """Return how long ago HAProxy had the request; 0.0 when nothing believable says so."""
        arrived_ms = headers.get(_ARRIVED, b"")
        if not arrived_ms.isdigit() or len(arrived_ms) > _MS_DIGITS:
            return 0.0
        passed_s = self._unix_clock() - int(arrived_ms) / 1_000
        return passed_s if 0.0 < passed_s < _LONGEST_WAY_S else 0.0

    def _gets_popular(self) -> bool:
        return self._popular is not None and not self._rooms.reads.refuses() and self._popular.take().allowed

    def _room_for(self, path: str) -> Room | None:
        """Return where a request belongs; None for Ray Serve's own."""
        first = path.removeprefix(PREFIX)[1:].partition("/")[0]
        if first == _SERVE:
            return None
        room: Room = getattr(self._rooms, _BY_FIRST_PART.get(first, "reads"))
        return room

    def _shed(self, room: Room, why: str, scope: Scope) -> Refused:
        SHED.labels(room.kind, why).inc()
        after_s = retry_after_s(room.wait_s, self._spread_s, self._chance)
        detail = "more is asked than can be answered in time; repeat the request after Retry-After seconds"
        return Refused(_answer(HTTPStatus.SERVICE_UNAVAILABLE, detail, scope, after_s, []))

    def _limited(self, told: Told, scope: Scope) -> Refused:
        RATE_LIMITED.labels(told.sort).inc()
        after_s = retry_after_s(told.allowance.wait_s, 0, self._chance)  # each client has a moment of its own
        detail = f"this client may ask {told.rate.per_s:g} times a second, {told.rate.burst} at once"
        return Refused(_answer(HTTPStatus.TOO_MANY_REQUESTS, detail, scope, after_s, told.headers()))


class Inside:
    """A request that was let in; it leaves once, however often it is told to."""

    __slots__ = ("_room", "is_ours")

    def __init__(self, room: Room | None) -> None:
        self._room = room
        self.is_ours = room is not None  # else it is Ray Serve's
        if room is not None:
            room.enter()

    def leave(self) -> None:
        """Make room."""
        if self._room is not None:
            self._room.leave()
        self._room = None


def _is_large(headers: dict[bytes, bytes]) -> bool:
    """Tell whether a body may come in pieces; one without a length may."""
    declared = headers.get(b"content-length")
    if declared is None:
        return b"transfer-encoding" in headers
    return not declared.isdigit() or int(declared[:12]) > LARGE_BODY_BYTES


def _answer(
    status: HTTPStatus, detail: str, scope: Scope, after_s: int, headers: list[tuple[bytes, bytes]]
) -> bytes:
    """Return a whole answer, head and problem document."""
    head, before, behind = _parts(status, detail)
    request_id = request_id_in(scope)[0].encode()
    added = b"".join(b"%b: %b\r\n" % header for header in headers)
    length = len(before) + len(request_id) + len(behind)
    return b"%b%bretry-after: %d\r\nx-request-id: %b\r\ncontent-length: %d\r\n\r\n%b%b%b" % (
        *(head, added, after_s, request_id, length),
        *(before, request_id, behind),
    )


@lru_cache(maxsize=64)
def _parts(status: HTTPStatus, detail: str) -> tuple[bytes, bytes, bytes]:
    """Return the head as far as it never changes, and the document before and behind the request's id."""
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/problem+json\r\n"
    title = f'{{"type":"about:blank","title":"{status.phrase}","status":{status.value}'
    return head.encode(), f'{title},"detail":"{detail}","request_id":"'.encode(), b'","errors":[]}'
