"""How often a client may ask: token buckets, one per client, in bounded memory."""

from collections import OrderedDict
from dataclasses import dataclass
from math import ceil

from deployments.overload_settings import Rate
from recsys.core.clock import Clock

_ROUNDING = 1e-9  # of a token: sums of many small fractions


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a client was told."""

    allowed: bool
    left: int  # requests that may still come at this moment
    full_in_s: float  # until the whole burst may come again
    wait_s: float  # until the next one is allowed; 0.0 when one is allowed now


class TokenBucket:
    """Lets through at most ``burst + per_s * t`` requests in any window of ``t`` seconds.

    One number per bucket: the moment at which it is full again (the "virtual scheduling" form of the generic
    cell rate algorithm, ITU-T I.371).

    Args:
        rate: how much.
        clock: monotonic seconds.
    """

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._full_at_s = float("-inf")

    @property
    def full(self) -> bool:
        """Whether it holds all its tokens, as if nobody had ever asked."""
        return self._full_at_s <= self._clock()

    def take(self) -> Allowance:
        """Take a token, if there is one."""
        now_s, rate = self._clock(), self._rate
        full_at_s = max(self._full_at_s, now_s)
        tokens = rate.burst - (full_at_s - now_s) * rate.per_s
        if tokens < 1.0 - _ROUNDING:
            return Allowance(False, 0, full_at_s - now_s, (1.0 - tokens) / rate.per_s)
        self._full_at_s = full_at_s + 1.0 / rate.per_s
        left = max(0.0, tokens - 1.0)
        return Allowance(True, int(left + _ROUNDING), self._full_at_s - now_s, 0.0)


class RateLimiter:
    """One bucket per client of one sort.

    Only clients whose bucket is full again are forgotten, so forgetting gives nobody more than their due.
    While there is no room, strangers share one bucket.

    Args:
        rate: what each of them may do.
        max_remembered: so many at once.
        clock: monotonic seconds.
    """

    def __init__(self, rate: Rate, max_remembered: int, clock: Clock) -> None:
        self.rate = rate
        self._max_remembered = max_remembered
        self._clock = clock
        self._buckets: OrderedDict[bytes, TokenBucket] = OrderedDict()  # the one that asked last is last
        self._strangers = TokenBucket(rate, clock)

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, client: bytes) -> Allowance:
        """Take a token from the bucket of a client."""
        bucket = self._buckets.get(client)
        if bucket is not None:
            self._buckets.move_to_end(client)
            return bucket.take()
        if len(self._buckets) >= self._max_remembered:
            oldest, longest_silent = next(iter(self._buckets.items()))
            if not longest_silent.full:
                return self._strangers.take()
            del self._buckets[oldest]
        bucket = self._buckets[client] = TokenBucket(self.rate, self._clock)
        return bucket.take()


def share(rate: Rate, n: int) -> Rate:
    """Return the part of one of ``n`` that the load is spread over evenly; a burst is never less than one."""
    return Rate(per_s=rate.per_s / n, burst=ceil(rate.burst / n))
