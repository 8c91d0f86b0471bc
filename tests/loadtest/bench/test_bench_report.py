import json

from loadtest.bench.client import Outcome
from loadtest.bench.report import line, row_of, table


def outcome(*latencies_s: float, failures: int = 0, elapsed_s: float = 1.0) -> Outcome:
    return Outcome(list(latencies_s), ["status 500"] * failures, 0, elapsed_s)


def test_a_row_sums_up_all_turns_of_a_server() -> None:
    row = row_of("graph", 16, [outcome(0.010, 0.020), outcome(0.030, failures=2, elapsed_s=2.0)])
    assert (row.n, row.per_s, row.p50_ms, row.failed) == (3, 1.0, 20.0, 2)


def test_the_line_for_machines_takes_throughput_at_the_most_connections_and_latency_at_one() -> None:
    rows = [
        row_of("graph", 1, [outcome(0.005, 0.005)]),
        row_of("graph", 64, [outcome(*[0.05] * 900, failures=1)]),
        row_of("monolith", 1, [outcome(0.002, failures=7)]),
        row_of("monolith", 64, [outcome(*[0.06] * 800)]),
    ]
    assert json.loads(line(rows)) == {
        "graph_rps": 900.0,
        "monolith_rps": 800.0,
        "failed": 1,
        "p50_ms_1": 5.0,
        "p99_ms_1": 5.0,
    }


def test_a_server_that_answered_nothing_still_gets_its_row() -> None:
    row = row_of("graph", 1, [outcome(failures=3)])
    assert (row.n, row.per_s, row.failed) == (0, 0.0, 3)
    assert table([row], "x86_64, 2 cores").row_count == 1
