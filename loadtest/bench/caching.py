"""The graph with and without its cache, asked the same by the same audience.

``python -m loadtest.bench.caching`` prints one line of JSON per setting. Every user has a history; a few ask
much more often than the others (Zipf), some are new, and some act on what they get, which makes their lists
out of date.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import numpy as np

from loadtest.bench import servers
from loadtest.bench.bundle import N_ITEMS, bench_registry
from loadtest.engine.result import Result
from loadtest.engine.run import drive_closed
from loadtest.traffic.model import AudienceTraffic
from loadtest.traffic.settings import Items, Mix, TrafficSettings, Users, Visits
from recsys.core.clock import unix_clock

_HISTORY = 20
_EVENTS_PER_CALL = 1_000
_WARM_UP_S = 3.0
_TIMEOUT_S = 60.0

AUDIENCE = TrafficSettings(
    mix=Mix(recommend=0.93, popular=0.02, events=0.05),
    users=Users(n_users=10_000, zipf_exponent=1.0, cold_share=0.1),
    visits=Visits(share=0.1, think_s=2.0),
    items=Items(n_items=N_ITEMS),
)
"""Of 100 requests 93 want a list, one in ten of them for a new user; 5 bring an event, visits bring more."""


@dataclass(frozen=True, slots=True)
class CachingRow:
    """What one setting gave."""

    cache: bool
    connections: int
    answers_per_s: float
    p50_ms: float
    p99_ms: float
    server_cpu_us: float  # processor time of all processes of the graph, per answer
    cached_share: float  # of all good answers, events included
    degraded: int
    failed: int


def compare(
    registry: Path,
    home: Path,
    *,
    audience: TrafficSettings = AUDIENCE,
    connections: int = 64,
    seconds: float = 20.0,
    settings: Sequence[str] = (),
) -> list[CachingRow]:
    """Return what the graph does without and with its cache, one after the other.

    Args:
        registry: holds the benchmark's bundle in channel ``stable``.
        home: an empty folder.
        audience: who asks what; all its users are given a history first.
        connections: requests under way at any time.
        seconds: how long, after a warm-up.
        settings: further flags of ``marquee serve``.
    """
    return [
        _run(cache, registry, home / f"cache-{cache}", audience, connections, seconds, settings)
        for cache in (False, True)
    ]


def _run(
    cache: bool,
    registry: Path,
    home: Path,
    audience: TrafficSettings,
    connections: int,
    seconds: float,
    settings: Sequence[str],
) -> CachingRow:
    flag = "--cache" if cache else "--no-cache"
    with servers.serve(registry, home, [flag, *settings]) as server:
        give_histories(server.url, audience)
        _drive(server.url, audience, connections, _WARM_UP_S, seed=1)
        cpu_s = server.cpu_s()
        result = _drive(server.url, audience, connections, seconds, seed=2)
        return row_of(cache, connections, result, server.cpu_s() - cpu_s)


def give_histories(url: str, audience: TrafficSettings) -> None:
    """Send every user's watches of items by chance; the same every time."""
    rng = np.random.default_rng(0)
    users = audience.users
    items = rng.integers(0, audience.items.n_items, (users.n_users, _HISTORY)).tolist()
    events = [
        {"event_id": f"history-{place}", "user_id": f"{users.prefix}{user}", "kind": "watch", "item_id": item}
        for user, own in enumerate(items)
        for place, item in enumerate(own)
    ]
    with httpx.Client(base_url=url, timeout=_TIMEOUT_S) as client:
        for start in range(0, len(events), _EVENTS_PER_CALL):
            client.post("/events", json=events[start : start + _EVENTS_PER_CALL]).raise_for_status()


def row_of(cache: bool, connections: int, result: Result, server_cpu_s: float) -> CachingRow:
    """Return the figures of a run."""
    total = result.total
    return CachingRow(
        cache,
        connections,
        round(result.good_per_s, 1),
        round(result.latency_ms(50), 2),
        round(result.latency_ms(99), 2),
        round(1e6 * server_cpu_s / total.n_good, 1) if total.n_good else 0.0,
        round(total.n_cached / total.n_good, 3) if total.n_good else 0.0,
        total.n_degraded,
        total.n_failed + total.n_shed,
    )


def _drive(url: str, audience: TrafficSettings, connections: int, seconds: float, *, seed: int) -> Result:
    items = [str(item) for item in range(audience.items.n_items)]
    traffic = AudienceTraffic(audience, items, seed=[seed], run_id=f"caching-{seed}")
    return drive_closed(url, traffic, connections=connections, duration_s=seconds)


def main() -> None:
    """Print a line of JSON per setting."""
    registry = bench_registry(Path(".marquee/bench"), clock=unix_clock)
    for connections in (1, 64):
        with tempfile.TemporaryDirectory(prefix="mq-cache-") as home:
            for row in compare(registry, Path(home), connections=connections):
                sys.stdout.write(json.dumps(asdict(row)) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
