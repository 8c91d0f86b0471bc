from recsys.core.clock import Deadline


class HandClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_what_is_left_of_a_deadline_shrinks_with_the_clock_and_ends_at_zero() -> None:
    clock = HandClock()
    deadline = Deadline.after(2.0, clock)
    assert deadline.left_s == 2.0
    clock.now_s = 101.5
    assert deadline.left_s == 0.5
    clock.now_s = 200.0
    assert deadline.left_s == 0.0
