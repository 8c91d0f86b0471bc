import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import poisson

from loadtest.profiles.schedule import Arrivals, Segment, dealt, due_times
from loadtest.profiles.settings import (
    ClosedProfile,
    ConstantProfile,
    RampProfile,
    SoakProfile,
    SpikeProfile,
    StepProfile,
    described,
    duration_of,
)
from recsys.core.errors import FieldError

RATES = st.floats(0, 200)
SEGMENTS = st.lists(st.builds(Segment, st.floats(0.1, 5), RATES, RATES), min_size=1, max_size=5)


def expected_until(segments: list[Segment], time_s: float) -> float:
    """Integral of the rate from 0 to ``time_s``, by the trapezium rule."""
    total, begin_s = 0.0, 0.0
    for segment in segments:
        within_s = min(max(time_s - begin_s, 0.0), segment.duration_s)
        slope = (segment.to_per_s - segment.from_per_s) / segment.duration_s
        total += within_s * (segment.from_per_s + slope * within_s / 2)
        begin_s += segment.duration_s
    return total


@given(SEGMENTS, st.integers(0, 2**32), st.sampled_from(Arrivals))
def test_due_times_rise_and_stay_within_the_schedule(
    segments: list[Segment], seed: int, arrivals: Arrivals
) -> None:
    times = due_times(segments, seed, arrivals)
    assert np.all(np.diff(times) >= 0)
    assert np.all((times >= 0) & (times <= sum(s.duration_s for s in segments) + 1e-9))


@given(SEGMENTS, st.floats(0, 1))
def test_even_arrivals_never_stray_from_the_rate_by_more_than_one_request(
    segments: list[Segment], share: float
) -> None:
    times = due_times(segments, 0, Arrivals.EVEN)
    until_s = share * sum(s.duration_s for s in segments)
    assert abs(np.count_nonzero(times < until_s) - expected_until(segments, until_s)) <= 1 + 1e-6


@given(SEGMENTS, st.integers(0, 2**32), st.sampled_from(Arrivals))
def test_a_schedule_is_a_pure_function_of_profile_and_seed(
    segments: list[Segment], seed: int, arrivals: Arrivals
) -> None:
    assert due_times(segments, seed, arrivals).tolist() == due_times(segments, seed, arrivals).tolist()


@given(SEGMENTS, st.integers(1, 7))
def test_what_is_dealt_to_workers_is_the_whole_schedule_and_nothing_twice(
    segments: list[Segment], n_workers: int
) -> None:
    times = due_times(segments, 1)
    parts = [dealt(times, worker, n_workers) for worker in range(n_workers)]
    assert sorted(np.concatenate(parts).tolist()) == times.tolist()
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_poisson_arrivals_have_the_mean_and_the_variance_of_poisson_within_one_in_a_million_odds() -> None:
    # 400 windows of one second at 50/s: their sum is Poisson(20,000), each is Poisson(50).
    times = due_times([Segment(400.0, 50.0, 50.0)], seed=3)
    low, high = poisson.ppf(5e-7, 20_000), poisson.ppf(1 - 5e-7, 20_000)
    assert low <= len(times) <= high
    counts = np.bincount(times.astype(int), minlength=400)
    # the index of dispersion times (n - 1) is chi-squared with 399 degrees: 5 standard deviations
    dispersion = counts.var(ddof=1) / counts.mean() * 399
    assert abs(dispersion - 399) < 5 * (2 * 399) ** 0.5


def test_other_seeds_give_other_poisson_arrivals() -> None:
    segment = [Segment(10.0, 50.0, 50.0)]
    assert due_times(segment, 1).tolist() != due_times(segment, 2).tolist()


def test_a_ramp_is_denser_where_the_rate_is_higher() -> None:
    # from 0 to 10/s in 10 s: 50 requests, the k-th at sqrt(2k)
    times = due_times([Segment(10.0, 0.0, 10.0)], 0, Arrivals.EVEN)
    assert times.tolist() == pytest.approx([(2 * k) ** 0.5 for k in range(50)])


def test_nobody_is_due_while_the_rate_is_nought() -> None:
    times = due_times([Segment(1.0, 10.0, 10.0), Segment(5.0, 0.0, 0.0), Segment(1.0, 10.0, 10.0)], 4)
    assert not np.any((times > 1.0) & (times < 6.0))


@pytest.mark.parametrize("segment", [Segment(0.0, 1.0, 1.0), Segment(1.0, -1.0, 1.0)])
def test_impossible_segments_are_refused(segment: Segment) -> None:
    with pytest.raises(FieldError, match="a duration above 0 and rates of at least 0"):
        due_times([segment], 0)


def test_every_profile_in_segments() -> None:
    assert ConstantProfile(rate_per_s=5, duration_s=2).segments() == (Segment(2, 5, 5),)
    assert SoakProfile(rate_per_s=5).segments() == (Segment(600, 5, 5),)
    assert RampProfile(from_per_s=1, rate_per_s=5, duration_s=2, hold_s=3).segments() == (
        Segment(2, 1, 5),
        Segment(3, 5, 5),
    )
    assert StepProfile(rates_per_s=(1, 2), step_s=3).segments() == (Segment(3, 1, 1), Segment(3, 2, 2))
    spike = SpikeProfile(rate_per_s=10, times=3, before_s=1, spike_s=2, after_s=3)
    assert spike.segments() == (Segment(1, 10, 10), Segment(2, 30, 30), Segment(3, 10, 10))
    assert duration_of(spike) == 6
    assert described(spike) == "open loop, spike 10, 30, 10/s for 6 s"
    assert described(ClosedProfile(connections=64, duration_s=8)) == "closed loop, 64 connections for 8 s"
