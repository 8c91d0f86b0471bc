import pytest

from loadtest.engine.plan import Plan
from loadtest.engine.result import Result, WorkerReport
from loadtest.engine.session import Run
from loadtest.marks.grammar import parse_marks
from loadtest.measure.histogram import Histogram
from loadtest.measure.tally import Cell, Key, Tally
from loadtest.profiles.settings import ConstantProfile
from loadtest.reports.build import report_of
from loadtest.reports.document import Report
from loadtest.server_view.view import ServerView, Spread

SPREAD = Spread(n=200, mean=0.005, p50=0.004, p99=0.02)


@pytest.fixture
def run() -> Run:
    """Return a run of 200 requests in 4 s written down by hand: two arms, ten failures."""
    tally = Tally()
    for block in range(4):
        for arm, latency_s in (("control", 0.010), ("candidate", 0.020)):
            latencies = Histogram.of([latency_s] * 20)
            tally.cells[Key(block, "recommend", arm, "known")] = Cell(latencies, latencies, n_good=20)
        tally.cells[Key(block, "popular", "", "")] = Cell(
            Histogram.of([0.002] * 7),
            Histogram.of([0.002] * 7),
            n_good=7,
            n_shed=1,
            failures={"status 500": 2},
        )
    tally.lateness = Histogram.of([0.0001] * 200)
    tally.examples["status 500"] = "<script>alert(1)</script>"
    worker = WorkerReport(0, elapsed_s=4.0, cpu_s=1.0, lag=Histogram.of([0.001]))
    result = Result("open loop, constant 50/s for 4 s", tally, (worker,), started_unix_s=1.7e9)
    server = ServerView(
        span_s=4.0,
        requests_per_s=50.0,
        shed=4,
        statuses={"recommend 200": 160},
        routes={"recommend": SPREAD},
        stages={"recall": SPREAD, "ranking": SPREAD},
        batch_size=Spread(n=40, mean=5.0, p50=4.0, p99=8.0),
        degraded={},
        cache_hits=None,
        cache_misses=None,
        others={},
        moments=(),
    )
    plan = Plan(profile=ConstantProfile(rate_per_s=50, duration_s=4))
    return Run(plan, "http://service:8000", result, None, server)


@pytest.fixture
def report(run: Run) -> Report:
    """Return its report, one mark of which fails."""
    return report_of(run, parse_marks("p99<50ms, errors=0"), command="marquee loadtest run")
