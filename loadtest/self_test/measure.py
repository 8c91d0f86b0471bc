"""What a request costs this tool, per transport, and how punctual it is."""

from dataclasses import dataclass

from loadtest.engine.plan import Plan
from loadtest.engine.pool import StopFlag, run_in_processes
from loadtest.engine.result import Result
from loadtest.engine.worker import WorkerTask
from loadtest.profiles.settings import ClosedProfile, ConstantProfile, Profile
from loadtest.transports.kinds import TRANSPORTS

_CONNECTIONS = 64
_RATES_PER_S = {"lean": 1_000.0, "httpx": 200.0}


@dataclass(frozen=True, slots=True)
class Cost:
    """What one transport costs, and what it can do at most with one worker."""

    transport: str
    most_per_s: float
    """Requests per second, closed loop, 64 connections."""
    cpu_us: float
    """Processor time per request there, in microseconds, of user and system."""
    rate_per_s: float
    """Of the open loop that follows."""
    lateness_p50_ms: float
    """How late requests left there."""
    lateness_p99_ms: float
    """How late the latest hundredth left."""
    latency_p50_ms: float
    """From due to answered, by a server that answers at once: what this tool adds to every latency."""
    latency_p99_ms: float
    """The same, for the slowest hundredth."""
    failed: int
    """Must be 0."""


def measure(url: str, transport: str, seconds: float, *, stop: StopFlag) -> Cost:
    """Measure one transport against the trivial server.

    Args:
        url: of the server.
        transport: name.
        seconds: of each of the two loops.
        stop: ends it early.
    """
    closed = _run(url, transport, ClosedProfile(connections=_CONNECTIONS, duration_s=seconds), stop)
    rate = _RATES_PER_S.get(transport, min(_RATES_PER_S.values()))
    opened = _run(url, transport, ConstantProfile(rate_per_s=rate, duration_s=seconds), stop)
    late_s = opened.tally.lateness.percentiles_s([50, 99])
    return Cost(
        transport,
        closed.good_per_s,
        closed.cpu_us_per_request,
        rate,
        1e3 * late_s[0],
        1e3 * late_s[1],
        opened.latency_ms(50),
        opened.latency_ms(99),
        closed.total.n_failed + opened.total.n_failed,
    )


def names() -> list[str]:
    """Return all transports, by name."""
    return sorted(TRANSPORTS)


def _run(url: str, transport: str, profile: Profile, stop: StopFlag) -> Result:
    plan = Plan.model_validate({"profile": profile.model_dump(), "transport": transport})
    return run_in_processes([WorkerTask(plan, url, 0, (), "self-test")], stop=stop).result
