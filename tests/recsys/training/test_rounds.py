import pytest

from recsys.core.errors import UnavailableError
from recsys.training.rounds import in_rounds


class FakeTime:
    """A clock that stands still but for what work and sleep take."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds


def run(time: FakeTime, takes_s: list[float], errors: dict[int, Exception]) -> list[tuple[str, float]]:
    """Do as many rounds as there are durations; return what was told of failures."""
    told: list[tuple[str, float]] = []
    rounds = iter(range(len(takes_s)))

    def work() -> None:
        number = next(rounds)
        time.now_s += takes_s[number]
        if number in errors:
            raise errors[number]

    in_rounds(
        work,
        1_000.0,
        clock=lambda: time.now_s,
        sleep=time.sleep,
        on_failure=lambda error, retry_s: told.append((str(error), retry_s)),
        n_rounds=len(takes_s),
    )
    return told


def test_rounds_begin_at_a_steady_pace_and_a_long_one_is_followed_at_once() -> None:
    time = FakeTime()
    assert run(time, [100.0, 1_500.0, 100.0], {}) == []
    assert time.slept == [900.0, 0.0]


def test_a_round_that_fails_is_told_and_tried_again_sooner_but_ever_more_patiently() -> None:
    time = FakeTime()
    lost = UnavailableError("registry", "no answer")
    told = run(time, [10.0] * 8, {0: lost, 1: lost, 2: OSError("disk full"), 5: lost})
    assert told == [(str(lost), 60.0), (str(lost), 120.0), ("disk full", 240.0), (str(lost), 60.0)]
    assert time.slept == [60.0, 120.0, 240.0, 990.0, 990.0, 60.0, 990.0]


def test_no_retry_waits_longer_than_the_next_round_would() -> None:
    time = FakeTime()
    run(time, [0.0] * 7, dict.fromkeys(range(7), OSError("disk full")))
    assert time.slept == [60.0, 120.0, 240.0, 480.0, 960.0, 1_000.0]


@pytest.mark.parametrize("fatal", [KeyboardInterrupt(), ValueError("a bug")])
def test_what_is_no_failure_of_a_round_ends_them_all(fatal: BaseException) -> None:
    def work() -> None:
        raise fatal

    with pytest.raises(type(fatal)):
        in_rounds(work, 1.0, clock=float, sleep=lambda _: None, on_failure=lambda _, __: None)
