"""Who asks how often: by key, or by address where there is no key."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import ceil
from typing import Literal

from deployments.overload_settings import Rate, RateLimits
from deployments.rate_limit import Allowance, RateLimiter, TokenBucket, share
from recsys.core.clock import Clock

Sort = Literal["known-key", "other-key", "no-key"]
Headers = Mapping[bytes, bytes]

_BEARER = re.compile(rb"bearer +(\S+)\s*", re.IGNORECASE)
_ENTRY = re.compile(rb"[^,\s]+")


@dataclass(frozen=True, slots=True)
class Told:
    """What a client is told about its rate."""

    sort: Sort
    rate: Rate
    allowance: Allowance

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers of draft-ietf-httpapi-ratelimit-headers-10.

        The quota is the burst, and its window the time in which a burst comes back.
        """
        name, rate = self.sort.encode(), self.rate
        window_s = ceil(rate.burst / rate.per_s)
        left, full_in_s = self.allowance.left, ceil(self.allowance.full_in_s)
        return [
            (b"ratelimit-policy", b'"%b";q=%d;w=%d' % (name, rate.burst, window_s)),
            (b"ratelimit", b'"%b";r=%d;t=%d' % (name, left, full_in_s)),
        ]


class ClientRates:
    """Takes a token for whoever sends a request.

    Args:
        limits: who may ask how often.
        clock: monotonic seconds.
    """

    def __init__(self, limits: RateLimits, clock: Clock) -> None:
        self._hops = limits.trusted_hops
        self._known = {
            bytes.fromhex(digest): _Known(share(rate, limits.shared_by), clock)
            for digest, rate in limits.by_key.items()
        }

        def limiter(rate: Rate | None) -> RateLimiter | None:
            if rate is None:
                return None
            return RateLimiter(share(rate, limits.shared_by), limits.max_remembered, clock)

        self._other_keys = limiter(limits.other_keys)
        self._no_key = limiter(limits.no_key)

    def take(self, headers: Headers, address: str) -> Told | None:
        """Take a token for a request; None when nothing limits it.

        Args:
            headers: of the request, names in small letters.
            address: of the other end of the connection.
        """
        key = key_in(headers)
        if key is not None:
            digest = sha256(key).digest()  # keys are not kept, and all are equally long
            known = self._known.get(digest)
            if known is not None:
                return Told("known-key", known.rate, known.bucket.take())
            if self._other_keys is not None:
                return Told("other-key", self._other_keys.rate, self._other_keys.take(digest))
        if self._no_key is None:
            return None
        client = client_address(headers, address, self._hops)
        return Told("no-key", self._no_key.rate, self._no_key.take(client))


class _Known:
    """A key that has a rate of its own."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self.rate = rate
        self.bucket = TokenBucket(rate, clock)


def key_in(headers: Headers) -> bytes | None:
    """Return the key of a request, from ``X-Api-Key`` or ``Authorization: Bearer``."""
    key = headers.get(b"x-api-key", b"").strip()
    if key:
        return key
    bearer = _BEARER.fullmatch(headers.get(b"authorization", b""))
    return bearer[1] if bearer else None


def client_address(headers: Headers, address: str, hops: int) -> bytes:
    """Return the address of a client.

    Args:
        headers: of the request.
        address: of the other end of the connection.
        hops: which entry of ``X-Forwarded-For`` to believe, from its end; 0: none. Entries before it are what
            the client says of itself, and count for nothing.
    """
    entries: Sequence[bytes] = _ENTRY.findall(headers.get(b"x-forwarded-for", b"")) if hops else ()
    return entries[-hops][:64] if len(entries) >= hops > 0 else address.encode()
