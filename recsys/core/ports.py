"""Ports for servers that are started a while after their ports are chosen."""

import itertools
import secrets
import socket
from typing import Final

from recsys.core.errors import UnavailableError

_LEFT_ALONE: Final = range(20_000, 30_000)
"""Ports below those that systems hand out (from 32768 on), above Ray's workers' (10002 to 19999), and not
those of Ray Serve's replicas (30000 to 31000)."""


def free_ports(n: int) -> list[int]:
    """Return different ports that nobody listens on now, on any address.

    None of those that the system hands to whoever asks for any: Ray's processes do, by the dozen, and one of
    them may have it by the time that the server starts.

    Raises:
        UnavailableError: there are not so many.
    """
    shuffled = secrets.SystemRandom().sample(_LEFT_ALONE, len(_LEFT_ALONE))
    found = list(itertools.islice(filter(_is_free, shuffled), n))
    if len(found) < n:
        raise UnavailableError("ports", f"{len(found)} are free of {_LEFT_ALONE}, expected {n}")
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as one:
        try:
            one.bind(("", port))
        except OSError:
            return False
    return True
