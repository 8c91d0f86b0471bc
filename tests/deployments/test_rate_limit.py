"""Token buckets on a clock that stands still unless it is told to move."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from deployments.overload_settings import Rate
from deployments.rate_limit import RateLimiter, TokenBucket, share


@dataclass
class HandClock:
    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


RATE = Rate(per_s=2.0, burst=3)


def test_a_burst_is_allowed_and_then_one_per_half_second() -> None:
    clock = HandClock()
    bucket = TokenBucket(RATE, clock)
    assert [bucket.take().allowed for _ in range(5)] == [True, True, True, False, False]
    refused = bucket.take()
    assert (refused.left, refused.wait_s, refused.full_in_s) == (0, 0.5, 1.5)
    clock.now_s = 0.49
    assert not bucket.take().allowed
    clock.now_s = 0.5
    assert bucket.take().allowed
    assert not bucket.take().allowed
    clock.now_s = 100.0
    assert bucket.full
    assert [bucket.take().left for _ in range(3)] == [2, 1, 0]


steps = st.lists(st.floats(0, 3, allow_subnormal=False), min_size=1, max_size=60)


@given(st.floats(0.05, 50), st.integers(1, 20), steps)
def test_no_window_lets_through_more_than_burst_and_rate(
    per_s: float, burst: int, pauses_s: list[float]
) -> None:
    clock = HandClock()
    bucket = TokenBucket(Rate(per_s=per_s, burst=burst), clock)
    taken_s = []
    for pause_s in pauses_s:
        clock.now_s += pause_s
        taken_s += [clock.now_s for _ in range(burst + 2) if bucket.take().allowed]
    for first, begin_s in enumerate(taken_s):
        for last in range(first, len(taken_s)):
            window_s = taken_s[last] - begin_s
            assert last - first + 1 <= burst + per_s * window_s + 1e-6


@given(st.floats(0.05, 50), st.integers(1, 20), steps)
def test_who_is_refused_is_allowed_after_the_wait_they_were_told(
    per_s: float, burst: int, pauses_s: list[float]
) -> None:
    clock = HandClock()
    bucket = TokenBucket(Rate(per_s=per_s, burst=burst), clock)
    for pause_s in pauses_s:
        clock.now_s += pause_s
        told = bucket.take()
        if not told.allowed:
            clock.now_s += told.wait_s * (1 + 1e-9)
            assert bucket.take().allowed


def test_each_client_has_a_bucket_and_only_full_ones_are_forgotten() -> None:
    clock = HandClock()
    limiter = RateLimiter(Rate(per_s=1.0, burst=1), 2, clock)
    assert limiter.take(b"a").allowed
    assert limiter.take(b"b").allowed
    assert not limiter.take(b"a").allowed
    assert limiter.take(b"c").allowed  # strangers share one bucket while there is no room
    assert not limiter.take(b"d").allowed
    assert not limiter.take(b"b").allowed
    clock.now_s = 1.0
    assert limiter.take(b"e").allowed  # a is full again, so it could be forgotten
    assert len(limiter) == 2
    assert not limiter.take(b"e").allowed


names = st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 1)), max_size=80)


@given(names, st.integers(1, 6))
def test_memory_is_bounded_and_nobody_gets_more_by_others_coming(
    asked: list[tuple[str, float]], max_remembered: int
) -> None:
    clock = HandClock()
    rate = Rate(per_s=1.0, burst=2)
    limiter = RateLimiter(rate, max_remembered, clock)
    taken_s: dict[str, list[float]] = {}
    for name, pause_s in asked:
        clock.now_s += pause_s
        if limiter.take(name.encode()).allowed:
            taken_s.setdefault(name, []).append(clock.now_s)
        assert len(limiter) <= max_remembered
    for times_s in taken_s.values():  # twice: once among the strangers, once with a bucket of their own
        for first, begin_s in enumerate(times_s):
            for last in range(first, len(times_s)):
                allowed = rate.burst + rate.per_s * (times_s[last] - begin_s)
                assert last - first + 1 <= 2 * allowed + 1e-6


def test_a_share_is_part_of_the_rate_and_at_least_one_at_once() -> None:
    assert share(Rate(per_s=10.0, burst=5), 2) == Rate(per_s=5.0, burst=3)
    assert share(Rate(per_s=1.0, burst=1), 4) == Rate(per_s=0.25, burst=1)
