"""What changed between two readings: rates, percentiles from buckets, counts."""

import math
from collections.abc import Sequence
from itertools import pairwise

from loadtest.server_view.scrape import Figures, Labels
from recsys.core.settings import FrozenModel

_REQUESTS = "marquee_requests_total"
_REQUEST_SECONDS = "marquee_request_seconds"
_STAGE_SECONDS = "marquee_stage_seconds"
_BATCH_SIZE = "marquee_batch_size"
_DEGRADED = "marquee_degraded_total"
_OURS = "marquee_"
_SHED = frozenset({"429", "503"})
_ASIDE = frozenset({"metrics", "healthz", "readyz"})  # asked by us and by whoever watches the service


class Spread(FrozenModel):
    """What a histogram of the service gained meanwhile."""

    n: int
    """Observations."""
    mean: float | None
    """In its unit; null without any."""
    p50: float | None
    """Interpolated within a bucket, so only as exact as the buckets are narrow."""
    p99: float | None
    """As p50; the highest bound when it lies above all bounds."""


class Moment(FrozenModel):
    """What the service did between two readings."""

    at_s: float
    """Middle of the interval, in seconds since the first reading."""
    requests_per_s: float
    """Over all routes."""
    p99_s: float | None
    """Of the requests, over all routes."""


class ServerView(FrozenModel):
    """The run as the service saw it."""

    span_s: float
    """Between first and last reading."""
    requests_per_s: float
    """Over all routes but metrics and health checks."""
    shed: int
    """Answers 429 and 503."""
    statuses: dict[str, int]
    """Answers by route and status, ``recommend 200``."""
    routes: dict[str, Spread]
    """Seconds from arrival to answer, by route."""
    stages: dict[str, Spread]
    """Seconds that each stage took, all lanes together."""
    batch_size: Spread | None
    """Requests that shared a call; null when the service does not tell."""
    degraded: dict[str, int]
    """Parts that were missing in answers, by stage and reason."""
    cache_hits: int | None
    """Null when the service has no figures of a cache."""
    cache_misses: int | None
    """As hits."""
    others: dict[str, float]
    """What every other counter of the service gained."""
    moments: tuple[Moment, ...]
    """Over time."""


def view_of(readings: Sequence[Figures]) -> ServerView | None:
    """Return what happened between first and last reading; None when there are not two."""
    if len(readings) < 2:
        return None
    first, last = readings[0], readings[-1]
    span_s = max(1e-9, last.at_s - first.at_s)
    requests = {labels: n for labels, n in _gained(first, last, _REQUESTS).items() if not _is_aside(labels)}
    hits, misses = _cache(first, last)
    return ServerView(
        span_s=span_s,
        requests_per_s=sum(requests.values()) / span_s,
        shed=round(sum(n for labels, n in requests.items() if dict(labels).get("status") in _SHED)),
        statuses=_named(requests),
        routes=_spreads(first, last, _REQUEST_SECONDS, "route"),
        stages=_spreads(first, last, _STAGE_SECONDS, "stage"),
        batch_size=_spreads(first, last, _BATCH_SIZE, "").get(""),
        degraded=_named(_gained(first, last, _DEGRADED)),
        cache_hits=hits,
        cache_misses=misses,
        others=_others(first, last),
        moments=tuple(_moment(before, after, first.at_s) for before, after in pairwise(readings)),
    )


def quantile(buckets: Sequence[tuple[float, float]], share: float) -> float | None:
    """Return a quantile of a histogram, as Prometheus' histogram_quantile does; None when it is empty.

    Args:
        buckets: upper bound (the last is infinite) and cumulative count, rising.
        share: in (0, 1).

    >>> quantile([(1.0, 10.0), (2.0, 20.0), (float("inf"), 20.0)], 0.75)
    1.5
    """
    total = buckets[-1][1] if buckets else 0.0
    if total <= 0:
        return None
    rank = share * total
    below, low = 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            if math.isinf(bound):
                return low
            return low + (bound - low) * (rank - below) / (count - below)
        below, low = count, bound
    return low


def _gained(first: Figures, last: Figures, name: str) -> dict[Labels, float]:
    """Return what each counter gained, nothing included; one set back to nought counts from there."""
    before = first.of(name)
    gained = {}
    for labels, value in last.of(name).items():
        since = before.get(labels, 0.0)
        gained[labels] = value - since if value >= since else value
    return gained


def _named(counts: dict[Labels, float]) -> dict[str, int]:
    named = {" ".join(value for _, value in labels) or "all": round(n) for labels, n in counts.items() if n}
    return dict(sorted(named.items()))


def _is_aside(labels: Labels) -> bool:
    return dict(labels).get("route", "").rpartition("/")[2] in _ASIDE


def _spreads(first: Figures, last: Figures, name: str, by: str) -> dict[str, Spread]:
    """Return a spread per value of the label ``by``; with "" one for everything, under ""."""
    buckets: dict[str, dict[float, float]] = {}
    for labels, n in _gained(first, last, f"{name}_bucket").items():
        if not _is_aside(labels):
            found = dict(labels)
            bounds = buckets.setdefault(found.get(by, ""), {})
            bound = float(found.get("le", "inf"))
            bounds[bound] = bounds.get(bound, 0.0) + n
    sums: dict[str, float] = {}
    for labels, total in _gained(first, last, f"{name}_sum").items():
        key = dict(labels).get(by, "")
        sums[key] = sums.get(key, 0.0) + total
    used = sorted((key, bounds) for key, bounds in buckets.items() if max(bounds.values()) > 0)
    return {key: _spread(bounds, sums.get(key)) for key, bounds in used}


def _spread(bounds: dict[float, float], total: float | None) -> Spread:
    rising = sorted(bounds.items())
    n = rising[-1][1]
    mean = total / n if total is not None and n else None
    return Spread(n=round(n), mean=mean, p50=quantile(rising, 0.5), p99=quantile(rising, 0.99))


def _cache(first: Figures, last: Figures) -> tuple[int | None, int | None]:
    """Return hits and misses over all counters that name a cache; (None, None) when there are none."""
    hits = misses = 0.0
    found = False
    for name in {name for name, _ in last.values if "cache" in name and name.endswith("_total")}:
        found = True
        for labels, n in _gained(first, last, name).items():
            words = " ".join((name, *(value for _, value in labels)))
            hits += n if "hit" in words else 0.0
            misses += n if "miss" in words else 0.0
    return (round(hits), round(misses)) if found else (None, None)


def _others(first: Figures, last: Figures) -> dict[str, float]:
    names = {name for name, _ in last.values if name.startswith(_OURS) and name.endswith("_total")}
    others = {}
    for name in sorted(names - {_REQUESTS, _DEGRADED}):
        for labels, n in _gained(first, last, name).items():
            shown = ",".join(f"{key}={value}" for key, value in labels)
            if n:
                others[f"{name}{{{shown}}}" if shown else name] = n
    return others


def _moment(before: Figures, after: Figures, begin_s: float) -> Moment:
    span_s = max(1e-9, after.at_s - before.at_s)
    requests = _gained(before, after, _REQUESTS)
    latency = _spreads(before, after, _REQUEST_SECONDS, "").get("")
    return Moment(
        at_s=(before.at_s + after.at_s) / 2 - begin_s,
        requests_per_s=sum(n for labels, n in requests.items() if not _is_aside(labels)) / span_s,
        p99_s=None if latency is None else latency.p99,
    )
