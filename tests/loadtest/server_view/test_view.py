import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from loadtest.server_view.scrape import Figures, figures_of
from loadtest.server_view.view import quantile, view_of
from recsys.core.errors import InputError


class Service:
    """A service's figures under the names that ours has."""

    def __init__(self) -> None:
        own = CollectorRegistry()
        self._registry = own
        self.requests = Counter("marquee_requests", "-", ["route", "status"], registry=own)
        self.seconds = Histogram(
            "marquee_request_seconds", "-", ["route"], buckets=(0.01, 0.1, 1), registry=own
        )
        self.stages = Histogram(
            "marquee_stage_seconds", "-", ["stage", "lane"], buckets=(0.01, 0.1), registry=own
        )
        self.batches = Histogram("marquee_batch_size", "-", buckets=(1, 2, 4, 8), registry=own)
        self.degraded = Counter("marquee_degraded", "-", ["stage", "why"], registry=own)
        self.cache = Counter("marquee_cache_lookups", "-", ["outcome"], registry=own)

    def read(self, at_s: float) -> Figures:
        return figures_of(generate_latest(self._registry).decode(), at_s)


def test_a_view_is_what_was_gained_between_the_readings() -> None:
    service = Service()
    service.requests.labels("recommend", "200").inc(1_000)  # before: of no interest
    before = service.read(100.0)
    service.requests.labels("recommend", "200").inc(90)
    service.requests.labels("recommend", "503").inc(10)
    service.requests.labels("metrics", "200").inc(5)  # our own
    for _ in range(100):
        service.seconds.labels("recommend").observe(0.05)
        service.stages.labels("recall", "stable").observe(0.005)
        service.stages.labels("recall", "canary").observe(0.05)
    for size in (1, 2, 8, 8):
        service.batches.observe(size)
    service.degraded.labels("state", "late").inc(3)
    service.cache.labels("hit").inc(30)
    service.cache.labels("miss").inc(70)
    view = view_of([before, service.read(110.0)])
    assert view is not None
    assert (view.span_s, view.requests_per_s, view.shed) == (10.0, 10.0, 10)
    assert view.statuses == {"recommend 200": 90, "recommend 503": 10}
    recommend = view.routes["recommend"]
    assert recommend.n == 100
    assert recommend.mean == pytest.approx(0.05)
    assert recommend.p50 == pytest.approx(0.055)  # the middle of the bucket from 0.01 to 0.1
    assert view.stages["recall"].n == 200  # both lanes
    assert view.batch_size is not None
    assert (view.batch_size.n, view.batch_size.mean) == (4, 4.75)
    assert view.degraded == {"state late": 3}
    assert (view.cache_hits, view.cache_misses) == (30, 70)


def test_a_service_that_tells_less_is_shown_with_what_it_tells() -> None:
    readings = [figures_of(f'marquee_requests_total{{route="x",status="200"}} {n}\n', n) for n in (0.0, 5.0)]
    view = view_of(readings)
    assert view is not None
    assert view.requests_per_s == 1.0
    assert (view.routes, view.stages, view.batch_size, view.cache_hits) == ({}, {}, None, None)
    assert view_of([figures_of("", 0.0), figures_of("", 1.0)]) is not None
    assert view_of(readings[:1]) is None


def test_a_counter_set_back_by_a_restart_counts_from_nought() -> None:
    readings = [
        figures_of(f'marquee_requests_total{{route="x"}} {n}\n', t) for t, n in ((0.0, 50.0), (10.0, 20.0))
    ]
    view = view_of(readings)
    assert view is not None
    assert view.requests_per_s == 2.0


def test_a_page_that_is_no_metrics_is_refused() -> None:
    with pytest.raises(InputError, match="not in the Prometheus text format"):
        figures_of('{"detail": "not found"} \n', 0.0)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_a_quantile_never_falls_with_its_share_and_stays_within_the_bounds(
    counts: list[int], one: float, other: float
) -> None:
    sums = [float(sum(counts[: n + 1])) for n in range(len(counts))]
    buckets = [*((float(n + 1), total) for n, total in enumerate(sums)), (float("inf"), sums[-1])]
    low, high = quantile(buckets, min(one, other)), quantile(buckets, max(one, other))
    if sums[-1] == 0:
        assert low is None
    else:
        assert low is not None
        assert high is not None
        assert 0 <= low <= high <= len(counts)
