import json

import pytest

from loadtest.bench.document import last_line
from loadtest.bench.rows import Row, Turn, row_of
from loadtest.engine.result import Result, WorkerReport
from loadtest.engine.run import post
from loadtest.measure.histogram import Histogram
from loadtest.measure.tally import Tally
from loadtest.transports.exchange import Exchange


def turn_of(latencies_ms: list[float], *, elapsed_s: float, server_cpu_s: float, memory_mb: float) -> Turn:
    """Return a turn whose last request failed and whose first two answers say that something is missing."""
    tally = Tally()
    for number, latency_ms in enumerate([*latencies_ms, 1.0]):
        exchange = Exchange(post("recommend", "/recommend", b"{}"), 0.0, 0.0)
        exchange.finished_s = latency_ms / 1e3
        exchange.status = 200 if number < len(latencies_ms) else 500
        exchange.body = b'{"arm":"a","bundle":"b","cursor":null,"degraded":[%b]}' % (
            b"{}" if number < 2 else b""
        )
        tally.note(exchange, 0.0)
    report = WorkerReport(0, elapsed_s, 0.5, Histogram())
    return Turn(result=Result("closed", tally, (report,)), server_cpu_s=server_cpu_s, memory_mb=memory_mb)


def test_a_row_adds_up_the_turns_of_a_server() -> None:
    first = turn_of([1.0, 2.0, 3.0], elapsed_s=1.0, server_cpu_s=1.5, memory_mb=100.4)
    second = turn_of([4.0, 5.0], elapsed_s=1.0, server_cpu_s=0.5, memory_mb=200.2)
    row = row_of("graph", "16 connections", [first, second])
    assert (row["answers"], row["failed"], row["degraded"]) == (5, 2, 4)
    assert row["per_s"] == 2.5  # five answers in two seconds
    assert row["p50_ms"] == pytest.approx(3.0, rel=1e-3)
    assert (row["server_cores"], row["client_cores"]) == (1.0, 0.5)
    assert row["server_ms"] == 400.0  # two seconds of a core for five answers
    assert row["memory_mb"] == 200


def row(server: str, load: str, per_s: float, p50_ms: float, failed: int = 0) -> Row:
    return Row(
        server=server,
        load=load,
        answers=1,
        per_s=per_s,
        p50_ms=p50_ms,
        p95_ms=0.0,
        p99_ms=2 * p50_ms,
        failed=failed,
        degraded=0,
        server_cores=0.0,
        client_cores=0.0,
        server_ms=0.0,
        memory_mb=0,
    )


def test_the_last_line_says_what_the_graph_does_at_most_and_alone() -> None:
    found = {
        "floors": [{"floor_per_s": 700.0}, {"floor_per_s": 2_000.0}],
        "rows": [
            row("graph", "1 connections", 100.0, 5.0, failed=1),
            row("graph", "64 connections", 1_000.0, 60.0, failed=2),
            row("monolith", "1 connections", 300.0, 3.0, failed=8),
            row("monolith", "64 connections", 400.0, 150.0),
            row("graph", "70 % of that, open loop", 700.0, 20.0),
        ],
    }
    assert json.loads(last_line(found)) == {
        "graph_rps": 1_000.0,
        "monolith_rps": 400.0,
        "floor_rps": 2_000.0,
        "failed": 3,
        "p50_ms_1": 5.0,
        "p99_ms_1": 10.0,
    }
