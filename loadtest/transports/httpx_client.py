"""The complete client: httpx, with TLS, proxies of the environment, and HTTP/2 where it is installed."""

import asyncio
import ssl
from importlib.util import find_spec
from urllib.request import getproxies, proxy_bypass

import httpx

from loadtest.transports.exchange import Done, Exchange, Failure
from loadtest.transports.target import Limits, Target
from recsys.core.clock import Clock

_FAILURES: dict[type[Exception], Failure] = {
    httpx.ConnectTimeout: Failure.CONNECT,
    httpx.ConnectError: Failure.CONNECT,
    httpx.ProxyError: Failure.CONNECT,
    httpx.TimeoutException: Failure.TIMEOUT,
    TimeoutError: Failure.TIMEOUT,
    httpx.NetworkError: Failure.CLOSED,
    httpx.ProtocolError: Failure.PROTOCOL,
    httpx.HTTPError: Failure.PROTOCOL,
}
# httpx calls a connection that ends early a protocol error.
_CLOSED_WORDS = ("disconnected", "closed connection")


class HttpxTransport:
    """One task per request, each on a connection of its own while it lasts."""

    def __init__(self, target: Target, limits: Limits, *, done: Done, clock: Clock) -> None:
        self._limits = limits
        self._done = done
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._pool = _Pool(target, limits)
        self._client = httpx.AsyncClient(
            base_url=target.url,
            headers=list(target.headers),
            transport=self._pool,
            timeout=httpx.Timeout(limits.timeout_s, connect=limits.connect_timeout_s),
        )

    def send(self, exchange: Exchange) -> None:
        """Start a task that asks."""
        task = asyncio.get_running_loop().create_task(self._ask(exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def waiting(self) -> int:
        """Return how many exchanges wait for a connection."""
        return max(0, len(self._tasks) - self._limits.connections)

    async def close(self) -> None:
        """End all tasks and close all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    async def _ask(self, exchange: Exchange) -> None:
        request = exchange.request
        headers = {"Content-Type": "application/json"} if request.body else None
        try:
            # httpx's own limits are per read, not in all
            async with asyncio.timeout(self._limits.timeout_s), self._pool.free:
                exchange.sent_s = self._clock()
                answer = await self._client.request(
                    request.method, request.path, content=request.body or None, headers=headers
                )
        except (httpx.HTTPError, TimeoutError) as error:
            exchange.failure = _failure_of(error)
            exchange.detail = f"{type(error).__name__}: {error}"
        else:
            exchange.status = answer.status_code
            exchange.body = answer.content
            exchange.retry_after = "retry-after" in answer.headers
            exchange.from_cache = "hit" in (
                answer.headers.get("x-cache", "") + answer.headers.get("x-marquee-cache", "")
            )
        exchange.finished_s = self._clock()
        self._done(exchange)


class _Pool(httpx.AsyncBaseTransport):
    """Connections of one server; whoever asks gets the one that rested last.

    httpx's own pool looks through all connections at every request: at 64 of them that took 4 ms of processor
    time per request, this takes a tenth.
    """

    def __init__(self, target: Target, limits: Limits) -> None:
        self.free = asyncio.Semaphore(limits.connections)
        self._context = ssl.create_default_context()
        if not limits.verify:
            self._context.check_hostname = False
            self._context.verify_mode = ssl.CERT_NONE
        self._http2 = target.scheme == "https" and find_spec("h2") is not None
        self._proxy = None if proxy_bypass(target.host) else getproxies().get(target.scheme)
        self._idle: list[httpx.AsyncHTTPTransport] = []
        self._all: list[httpx.AsyncHTTPTransport] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        connection = self._idle.pop() if self._idle else self._new()
        if self._http2:  # one connection carries all streams
            self._idle.append(connection)
        try:
            response = await connection.handle_async_request(request)
            await response.aread()  # the connection is free again only when the body is here
        finally:
            if not self._http2:
                self._idle.append(connection)
        return response

    async def aclose(self) -> None:
        for connection in self._all:
            await connection.aclose()

    def _new(self) -> httpx.AsyncHTTPTransport:
        one = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        made = httpx.AsyncHTTPTransport(
            verify=self._context, http2=self._http2, limits=one, proxy=self._proxy
        )
        self._all.append(made)
        return made


def _failure_of(error: Exception) -> Failure:
    """Return the failure that the nearest listed ancestor stands for."""
    if isinstance(error, httpx.RemoteProtocolError) and any(word in str(error) for word in _CLOSED_WORDS):
        return Failure.CLOSED
    return next(_FAILURES[t] for t in type(error).__mro__ if t in _FAILURES)
