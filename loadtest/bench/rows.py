"""One line of a table: a server under one load, all its turns together."""

from collections.abc import Callable, Sequence
from typing import TypedDict

from loadtest.bench.servers import Server
from loadtest.engine.result import Result
from loadtest.measure.histogram import Histogram


class Row(TypedDict):
    """What was measured; times in milliseconds."""

    server: str
    load: str
    answers: int
    per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    failed: int
    degraded: int
    server_cores: float  # kept busy on average
    client_cores: float
    server_ms: float  # processor time per answer
    memory_mb: float  # held by the server's processes for themselves, at the end


class Turn(TypedDict):
    """One turn of a server."""

    result: Result
    server_cpu_s: float
    memory_mb: float


def turn(server: Server, drive: Callable[[str], Result]) -> Turn:
    """Drive a server once, and note the processor time that its processes took."""
    before_s = server.cpu_s()
    result = drive(server.url)
    return Turn(result=result, server_cpu_s=server.cpu_s() - before_s, memory_mb=server.memory_mb())


def row_of(server: str, load: str, turns: Sequence[Turn]) -> Row:
    """Return the line that sums up the turns of one server under one load."""
    results = [one["result"] for one in turns]
    elapsed_s = sum(result.elapsed_s for result in results)
    n_good = sum(result.total.n_good for result in results)
    latency = Histogram.merged(result.total.latency for result in results)
    p50, p95, p99 = (1e3 * value for value in latency.percentiles_s([50, 95, 99]))
    server_cpu_s = sum(one["server_cpu_s"] for one in turns)
    return Row(
        server=server,
        load=load,
        answers=n_good,
        per_s=round(n_good / elapsed_s, 1),
        p50_ms=round(p50, 2),
        p95_ms=round(p95, 2),
        p99_ms=round(p99, 2),
        failed=sum(result.total.n_failed + result.total.n_shed + result.cut for result in results),
        degraded=sum(result.total.n_degraded for result in results),
        server_cores=round(server_cpu_s / elapsed_s, 2),
        client_cores=round(sum(result.cpu_s for result in results) / elapsed_s, 2),
        server_ms=round(1e3 * server_cpu_s / max(1, n_good), 3),
        memory_mb=round(max(one["memory_mb"] for one in turns)),
    )
