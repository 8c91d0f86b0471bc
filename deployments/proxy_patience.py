"""How long HAProxy puts up with clients, and what it says to those it gives up on.

Ray Serve has no settings for this, but it writes the balancing algorithm into the ``defaults`` section of
HAProxy's configuration as it is, so further lines can follow it (tests/integration/test_hostile_clients.py
would notice if that changed). What is wrong with the head of a request, HAProxy says with a page of its own.
"""

import resource
from http import HTTPStatus

import orjson

ARRIVED_HEADER = "x-arrived-ms"
"""With every request, Unix milliseconds: a router that is behind sees how long it has been on its way."""

REQUEST_S = 10
"""So long may head and body of a request take; HAProxy keeps it to itself until then, up to 64 KiB."""

SILENCE_S = 30
"""So long may a client neither send nor read anything while a request is under way."""

IDLE_S = 75
"""So long may a connection rest between requests: longer than the 60 s of the usual load balancers, for a
request that is sent while its connection is being closed is lost."""

QUEUE_S = 1
"""So long does a request wait in HAProxy for a router, when all have as many as they may."""

MAX_PER_ROUTER = 1_024
"""Requests that HAProxy hands to one router at once; further ones go to the next, or wait."""

RETRY_AFTER_S = 2
"""After so long, whoever HAProxy itself refuses may come back."""

_MOST_CONNECTIONS = 16_384
_SPARE_FILES = 1_000
_FILES_PER_CLIENT = 3  # its connection, that to a router, and half a pipe between the two
_DETAILS = {
    HTTPStatus.REQUEST_TIMEOUT: f"the request was not complete after {REQUEST_S} s",
    HTTPStatus.BAD_GATEWAY: "the router that had this request is gone; repeat it",
    HTTPStatus.SERVICE_UNAVAILABLE: "no router has time for this request; repeat it",
    HTTPStatus.GATEWAY_TIMEOUT: "the router that had this request did not answer; repeat it",
}


def with_patience(algorithm: str) -> str:
    """Return a balancing algorithm, and the lines that follow it in HAProxy's ``defaults`` section."""
    lines = [
        algorithm,
        f"timeout http-request {REQUEST_S}s",
        f"timeout queue {QUEUE_S}s",
        "option http-buffer-request",
        "option dontlog-normal",  # its log goes to syslog, whether anybody listens or not
        f"default-server maxconn {MAX_PER_ROUTER}",
        "option forwardfor",
        "unique-id-format %[date(0,ms)]",
        f"unique-id-header {ARRIVED_HEADER}",
        *(_error(status, detail) for status, detail in _DETAILS.items()),
    ]
    return "\n    ".join(lines)


def max_connections() -> int:
    """Return how many clients HAProxy may hold at once; it opens several files for each."""
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = (
        _MOST_CONNECTIONS if files == resource.RLIM_INFINITY else (files - _SPARE_FILES) // _FILES_PER_CLIENT
    )
    return max(1, min(_MOST_CONNECTIONS, most))


def _error(status: HTTPStatus, detail: str) -> str:
    """Return the line for an answer of HAProxy's own. Serve's is a bare 500 for all that may be repeated."""
    document = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status,
        "detail": detail,
        "request_id": "",
        "errors": [],
    }
    body = f"content-type application/problem+json string '{orjson.dumps(document).decode()}'"
    return f"http-error status {status.value} {body} hdr Retry-After {RETRY_AFTER_S}"
