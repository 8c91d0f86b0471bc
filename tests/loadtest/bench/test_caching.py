from pathlib import Path

import pytest

from loadtest.bench.bundle import bench_registry
from loadtest.bench.caching import AUDIENCE, compare, row_of
from loadtest.engine.result import Result, WorkerReport
from loadtest.measure.histogram import Histogram
from loadtest.measure.tally import Tally
from loadtest.traffic.settings import Items
from loadtest.transports.exchange import Exchange, Request

ANSWER = b'{"request_id":"1","items":[],"arm":"stable","bundle":"b","cursor":null,"degraded":[],"cached":%s}'


def test_a_row_tells_the_share_of_answers_that_came_from_the_cache() -> None:
    tally = Tally()
    for number, cached in enumerate([b"true", b"true", b"false", b"true"]):
        exchange = Exchange(Request("recommend", "POST", "/recommend", b"{}"), float(number), float(number))
        exchange.sent_s, exchange.finished_s = float(number), number + 0.01
        exchange.status, exchange.body = 200, ANSWER % cached
        tally.note(exchange, 0.0)
    result = Result("closed", tally, (WorkerReport(0, 2.0, 0.1, Histogram()),))
    row = row_of(cache=True, connections=4, result=result, server_cpu_s=0.002)
    assert (row.answers_per_s, row.cached_share, row.failed, row.degraded) == (2.0, 0.75, 0, 0)
    assert row.server_cpu_us == 500.0
    assert row.p50_ms == pytest.approx(10.0, rel=0.01)


@pytest.mark.serve
@pytest.mark.slow
def test_the_cache_answers_a_good_part_and_is_off_when_asked(tmp_path: Path) -> None:
    registry = bench_registry(tmp_path / "bench", clock=lambda: 0.0, n_items=1_000, n_users=200)
    users = AUDIENCE.users.model_copy(update={"n_users": 200})
    audience = AUDIENCE.model_copy(update={"users": users, "items": Items(n_items=1_000)})
    without, with_cache = compare(registry, tmp_path, audience=audience, connections=8, seconds=4.0)
    assert (without.cached_share, without.failed) == (0.0, 0)
    assert with_cache.cached_share > 0.1
    assert with_cache.failed == 0
