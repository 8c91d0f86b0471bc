import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.experiments.measurements import Figures, Latencies, figures_of, increase, latency_counter

INF = float("inf")
TEN = Latencies((0.1, 0.2, INF), (4.0, 8.0, 10.0))  # four within 100 ms, four more within 200, two longer


def test_counters_are_counted_from_where_they_stood() -> None:
    now = {"canary": {"answers": 30.0, "short": 2.0}, "stable": {"answers": 9.0}}
    before = {"canary": {"answers": 10.0}}
    assert increase(now, before) == {"canary": {"answers": 20.0, "short": 2.0}, "stable": {"answers": 9.0}}


def test_a_counter_that_fell_began_anew() -> None:
    assert increase({"canary": {"answers": 3.0}}, {"canary": {"answers": 10.0}}) == {
        "canary": {"answers": 3.0}
    }


def test_a_quantile_lies_between_its_edges() -> None:
    assert TEN.n == 10
    assert TEN.quantile(0.2) == 0.05  # the second of four that spread over 100 ms
    assert TEN.quantile(0.6) == pytest.approx(0.15)
    assert TEN.quantile(0.99) == 0.2  # beyond the last edge nothing is known
    assert Latencies().quantile(0.5) is None


def test_how_many_were_slower_is_rounded_down() -> None:
    assert TEN.n_above(0.1) == 6
    assert TEN.n_above(0.15) == 4
    assert TEN.n_above(0.16) == 3  # 2 + 1.6
    assert TEN.n_above(0.2) == 2
    assert TEN.n_above(9.0) == 2  # they took more than 200 ms, for all that is known
    assert Latencies().n_above(0.1) == 0


@given(st.lists(st.integers(0, 50), min_size=3, max_size=3), st.floats(0, 1))
def test_as_many_are_above_a_quantile_as_its_name_says(counts: list[int], q: float) -> None:
    cumulative = tuple(float(sum(counts[: place + 1])) for place in range(3))
    found = Latencies((0.1, 0.2, 0.4), cumulative)
    value = found.quantile(q)
    if value is not None:
        assert found.n_above(value) <= (1 - q) * found.n + 1e-6


def test_figures_are_read_from_counters() -> None:
    counters = {
        "answers": 10.0,
        "degraded": 1.0,
        latency_counter("answer", 0.1): 8.0,
        latency_counter("answer", INF): 10.0,
        latency_counter("recall", 0.1): 3.0,
    }
    assert figures_of(counters) == Figures(
        answers=10,
        degraded=1,
        latency={"answer": Latencies((0.1, INF), (8.0, 10.0)), "recall": Latencies((0.1,), (3.0,))},
    )
