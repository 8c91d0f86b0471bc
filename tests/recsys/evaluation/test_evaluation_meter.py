import pytest

from recsys.evaluation.meter import measured


def test_seconds_are_those_of_the_clock() -> None:
    ticks = iter([10.0, 12.5])
    done = measured(lambda: "model", clock=lambda: next(ticks))
    assert (done.result, done.seconds) == ("model", 2.5)


def test_the_peak_is_of_the_call_and_not_of_what_was_before() -> None:
    def hold(n_mb: int) -> int:
        return len(bytes(b"x" * (n_mb * 1_000_000)))

    large = measured(lambda: hold(200))
    if not large.peak_is_of_call:
        pytest.skip("this system does not let a process reset its peak")
    small = measured(lambda: hold(1))
    assert large.peak_mb - small.peak_mb == pytest.approx(200, abs=30)


def test_what_the_call_raises_passes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        measured(lambda: 1 // 0)
