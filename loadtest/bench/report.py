"""What a benchmark found, for people and for machines."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from loadtest.bench.client import Outcome


@dataclass(frozen=True, slots=True)
class Row:
    """One server at one number of connections; all its turns together."""

    server: str
    connections: int
    n: int
    per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    failed: int
    degraded: int


def row_of(server: str, connections: int, outcomes: Sequence[Outcome]) -> Row:
    """Return the row that sums up the turns of one server at one number of connections."""
    latencies_ms = 1e3 * np.concatenate([np.asarray(outcome.latencies_s) for outcome in outcomes])
    p50, p95, p99 = np.percentile(latencies_ms, [50, 95, 99]) if len(latencies_ms) else (np.nan,) * 3
    return Row(
        server,
        connections,
        len(latencies_ms),
        len(latencies_ms) / sum(outcome.elapsed_s for outcome in outcomes),
        float(p50),
        float(p95),
        float(p99),
        sum(len(outcome.failures) for outcome in outcomes),
        sum(outcome.degraded for outcome in outcomes),
    )


def table(rows: Sequence[Row], machine: str) -> Table:
    """Return a table for people."""
    shown = Table(title=f"20,000 items, 200 candidates, 100 trees; {machine}")
    for name in (
        "server",
        "connections",
        "answers",
        "per s",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "failed",
        "degraded",
    ):
        shown.add_column(name, justify="left" if name == "server" else "right")
    for row in rows:
        figures = (f"{figure:.1f}" for figure in (row.per_s, row.p50_ms, row.p95_ms, row.p99_ms))
        shown.add_row(
            row.server, str(row.connections), str(row.n), *figures, str(row.failed), str(row.degraded)
        )
    return shown


def line(rows: Sequence[Row]) -> str:
    """Return the one line for machines: throughput at the most connections, latency at one."""
    most = max(row.connections for row in rows)
    at = {(row.server, row.connections): row for row in rows}
    graph, alone = at["graph", most], at["graph", 1]
    summary = {
        "graph_rps": round(graph.per_s, 1),
        "monolith_rps": round(at["monolith", most].per_s, 1),
        "failed": sum(row.failed for row in rows if row.server == "graph"),
        "p50_ms_1": round(alone.p50_ms, 2),
        "p99_ms_1": round(alone.p99_ms, 2),
    }
    return json.dumps(summary)
