"""What is done when more is asked than can be answered: room for each kind of request, and rates per key."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from recsys.core.settings import FrozenModel

KeyDigest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 of a key in hexadecimal: settings are read by many, keys are not for them."""


class WhenFull(StrEnum):
    """What a request for recommendations gets that there is no time for."""

    SHED = "shed"
    POPULAR = "popular"


class OverloadSettings(FrozenModel):
    """How much one router takes in at once, per kind of request; docs/overload.md says how to size it."""

    max_recommends: PositiveInt = 1024
    """Requests for recommendations inside one router, waiting or under way; whatever their expected wait."""

    max_wait_s: PositiveFloat = 0.4
    """A request that would wait longer than this is refused at once; one that did is dropped unanswered."""

    max_events: PositiveInt = 256
    """Calls of ``/events`` and ``/users`` inside one router."""

    max_reads: PositiveInt = 256
    """Calls of everything that needs no batch: popular lists, items, documentation."""

    max_probes: PositiveInt = 16
    """Calls of ``/healthz``, ``/readyz`` and ``/metrics``."""

    max_large_bodies: PositiveInt = 16
    """Bodies of more than 64 KiB that are being read at once; smaller ones come in one piece."""

    when_full: WhenFull = WhenFull.SHED
    """``shed``: 503 with Retry-After. ``popular``: the popular list, marked as degraded, within bounds."""

    popular_per_s: PositiveFloat = 100.0
    """With ``popular``: so many of these answers per second and router; the rest is shed."""

    retry_spread_s: NonNegativeInt = 3
    """Retry-After is drawn from the expected wait up to so much more: clients must not return all at once."""

    @property
    def max_inside(self) -> int:
        """Return how many requests of any kind can be inside one router."""
        kinds = self.max_recommends + self.max_events + self.max_reads + self.max_probes
        return kinds + self.max_large_bodies


class Rate(FrozenModel):
    """How often somebody may ask."""

    per_s: PositiveFloat
    """Requests per second in the long run."""

    burst: PositiveInt = 10
    """Requests that may come at the same moment after a pause."""


class RateLimits(FrozenModel):
    """Who may ask how often. Keys are told apart, not checked: that is the job of what stands before this."""

    by_key: dict[KeyDigest, Rate] = Field(default_factory=dict)
    """Rates of known keys, under the SHA-256 of each: ``printf %s KEY | sha256sum``."""

    other_keys: Rate | None = None
    """Of each key not listed above; None: it counts as if there were none."""

    no_key: Rate | None = None
    """Of each client address that sends no key; None: not limited."""

    trusted_hops: NonNegativeInt = 0
    """Which entry of ``X-Forwarded-For``, from its end, is the client; 0: whoever holds the connection."""

    max_remembered: PositiveInt = 100_000
    """Clients remembered at once, 300 bytes each; further ones share one bucket until others paused."""

    shared_by: PositiveInt = 1
    """Routers that the load is spread over; each allows its part."""
