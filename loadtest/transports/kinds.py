"""The table of transports: a new one is put here, and the conformance suite finds it."""

from typing import Protocol

from loadtest.transports.exchange import Done, Transport
from loadtest.transports.httpx_client import HttpxTransport
from loadtest.transports.lean import LeanTransport
from loadtest.transports.target import Limits, Target
from recsys.core.clock import Clock
from recsys.core.errors import FieldError, NotFoundError


class OpenTransport(Protocol):
    """Makes a transport; call it within a running event loop."""

    def __call__(self, target: Target, limits: Limits, *, done: Done, clock: Clock) -> Transport:
        """Return a transport to the target that tells every end to ``done``."""


def _lean(target: Target, limits: Limits, *, done: Done, clock: Clock) -> Transport:
    if target.scheme != "http":
        raise FieldError("transport", "lean for https", "httpx: lean speaks plain http only")
    return LeanTransport(target, limits, done=done, clock=clock)


TRANSPORTS: dict[str, OpenTransport] = {"httpx": HttpxTransport, "lean": _lean}


def transport_named(name: str) -> OpenTransport:
    """Return what opens the transport of that name.

    Raises:
        NotFoundError: there is none.
    """
    try:
        return TRANSPORTS[name]
    except KeyError:
        raise NotFoundError("transport", name, ", ".join(sorted(TRANSPORTS))) from None
