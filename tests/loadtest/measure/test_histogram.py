import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from loadtest.measure.histogram import HIGHEST_US, Histogram, bucket_us

LATENCIES = st.lists(st.floats(1e-6, 3_000.0), min_size=1, max_size=60)


@given(LATENCIES)
def test_percentiles_are_those_of_the_reference_histogram(latencies_s: list[float]) -> None:
    reference, histogram = HdrHistogram(1, HIGHEST_US, 3), Histogram.of(latencies_s)
    for latency_s in latencies_s:
        reference.record_value(max(1, int(latency_s * 1e6 + 0.5)))
    for rank in range(1, len(latencies_s) + 1):
        percentile = 100 * rank / len(latencies_s)
        wanted_us = reference.get_highest_equivalent_value(reference.get_value_at_percentile(percentile))
        assert round(histogram.percentile_s(percentile) * 1e6) == wanted_us


@given(LATENCIES)
def test_a_percentile_is_within_a_thousandth_of_the_value_of_that_rank(latencies_s: list[float]) -> None:
    histogram = Histogram.of(latencies_s)
    for rank, value_s in enumerate(sorted(latencies_s), 1):
        found_s = histogram.percentile_s(100 * rank / len(latencies_s))
        assert found_s == pytest.approx(value_s, rel=1e-3, abs=1e-6)


@given(st.lists(LATENCIES, min_size=1, max_size=4))
def test_merged_histograms_are_that_of_everything(parts: list[list[float]]) -> None:
    merged = Histogram.merged(Histogram.of(part) for part in parts)
    assert merged.counts == Histogram.of([value for part in parts for value in part]).counts


@given(LATENCIES)
def test_the_standard_encoding_keeps_everything(latencies_s: list[float]) -> None:
    histogram = Histogram.of(latencies_s)
    assert Histogram.decoded(histogram.encoded()).counts == histogram.counts


def test_the_encoding_is_read_by_another_tool() -> None:
    text = Histogram.of([0.001] * 99 + [0.5]).encoded()
    read = HdrHistogram.decode(text)
    assert read.get_total_count() == 100
    assert read.get_value_at_percentile(50) == 1_000
    assert read.values_are_equivalent(read.get_max_value(), 500_000)


@given(st.floats(0.0, 5_000.0))
def test_a_bucket_is_at_most_a_thousandth_below_its_values(latency_s: float) -> None:
    lowest_s = bucket_us(latency_s) / 1e6
    assert lowest_s == pytest.approx(min(latency_s, HIGHEST_US / 1e6), rel=1e-3, abs=1.5e-6)


def test_shares_and_curve_of_four_known_values() -> None:
    histogram = Histogram.of([0.001, 0.001, 0.002, 0.1])
    assert histogram.share_within(0.002) == 0.75
    assert histogram.curve()[1].tolist() == [0.5, 0.75, 1.0]
    assert histogram.mean_s() == pytest.approx(0.026, rel=1e-3)
    assert histogram.max_s() == pytest.approx(0.1, rel=1e-3)


def test_nothing_counted_is_not_a_number_rather_than_nought() -> None:
    empty = Histogram()
    assert str(empty.percentile_s(99)) == str(empty.mean_s()) == str(empty.max_s()) == "nan"
