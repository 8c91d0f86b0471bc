"""Figures about serving, in the Prometheus text format.

Every process of a machine adds its own into files in ``PROMETHEUS_MULTIPROC_DIR``; whichever router is asked
adds them all up, those of processes that have died since included. Without that variable a process knows its
own figures alone.
"""

import os
from collections.abc import Callable, Iterator
from typing import cast

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_add_up = cast("Callable[[CollectorRegistry], object]", MultiProcessCollector)  # it comes without types

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_DIGITS = (1, 1.5, 2, 3, 5, 7)
_COMPARED_SECONDS = tuple(round(digit * unit, 4) for unit in (0.001, 0.01, 0.1, 1.0) for digit in _DIGITS)
"""Finer, for quantiles of one arm are compared with those of another."""
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)

REQUESTS = Counter("marquee_requests", "Requests answered", ["route", "status"])
REQUEST_SECONDS = Histogram(
    "marquee_request_seconds", "From the request's arrival to its answer", ["route"], buckets=_SECONDS
)
BATCH_SIZE = Histogram("marquee_batch_size", "Requests that shared one call per stage", buckets=_SIZES)
STAGE_SECONDS = Histogram(
    "marquee_stage_seconds",
    "What a stage took, as the router saw it",
    ["stage", "lane"],
    buckets=_COMPARED_SECONDS,
)
STAGE_CALLS = Counter(
    "marquee_stage_calls",
    "Calls of a stage: by wire, or through Ray Serve",
    ["stage", "way"],
)
ARM_ANSWERS = Counter(
    "marquee_arm_answers",
    "Answers computed for users whom chance dealt to the arm, and what was the matter with them",
    ["arm", "what"],
)
ARM_SECONDS = Histogram(
    "marquee_arm_seconds",
    "From a request's arrival at the router to its answer, of those same answers",
    ["arm"],
    buckets=_COMPARED_SECONDS,
)
SHADOW_FATES = Counter(
    "marquee_shadow", "Requests for the lane that works unseen, by what became of them", ["fate"]
)
SHADOW_OVERLAP = Histogram(
    "marquee_shadow_overlap",
    "Share of the items of an answer that the shadow would have shown too",
    buckets=tuple(step / 10 for step in range(11)),
)
TRAFFIC_REFUSED = Counter(
    "marquee_traffic_refused",
    "Looks at a traffic document that could not be used; the one before it stays in force",
)
DEGRADED = Counter("marquee_degraded", "Answers without this stage", ["stage", "why"])
BATCH_WAIT_SECONDS = Histogram(
    "marquee_batch_wait_seconds", "How long the first request of a batch waited for it", buckets=_SECONDS
)
SHED = Counter("marquee_shed", "Requests refused because too many were there", ["kind", "why"])
RATE_LIMITED = Counter(
    "marquee_rate_limited", "Requests refused because their client asks too often", ["key"]
)
EVENTS = Counter("marquee_events", "Events by what became of them", ["fate"])
EXPOSURES = Counter("marquee_exposures", "Answers by what became of their exposure", ["fate"])
CACHE = Counter(
    "marquee_cache", "Questions by who could share the answer and what was found", ["kind", "found"]
)
CACHE_AGE_SECONDS = Histogram(
    "marquee_cache_age_seconds",
    "How old lists from the cache were when they were served",
    buckets=(*_SECONDS, 10.0),
)
CACHE_EVICTIONS = Counter("marquee_cache_evictions", "Lists that left the cache", ["why"])
STATE_ERRORS = Counter("marquee_state_errors", "Calls of the user state that failed", ["call"])


def exposition(lines: Iterator[str]) -> bytes:
    """Return all figures as Prometheus reads them.

    Args:
        lines: further ones in the same format, which the caller makes from what it knows now.
    """
    registry = REGISTRY
    if os.environ.get(MULTIPROCESS_VARIABLE):
        registry = CollectorRegistry()
        _add_up(registry)
    return generate_latest(registry) + "".join(f"{line}\n" for line in lines).encode()
