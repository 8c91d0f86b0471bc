import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from deployments.admission import Room, rooms_of
from deployments.autoscaling.demand import Demand
from deployments.drain import DrainRate
from deployments.overload_settings import OverloadSettings


class HandClock:
    """Stands still unless it is told to move."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def busy(per_s: float, clock: HandClock) -> DrainRate:
    drain = DrainRate(clock)
    drain.answered(1, waiting=1)
    clock.now_s += 1.0
    drain.answered(int(per_s), waiting=1)
    return drain


def test_a_room_takes_as_many_as_it_holds() -> None:
    room = Room("events", 2)
    room.enter()
    assert room.refuses() == ""
    room.enter()
    assert room.refuses() == "full"
    room.leave()
    assert room.refuses() == ""


def test_whoever_would_wait_too_long_is_refused_before_the_room_is_full() -> None:
    room = Room("recommend", 1_000, max_wait_s=0.5, drain=busy(100, HandClock()))
    for _ in range(50):
        room.enter()
    assert (room.wait_s, room.refuses()) == (0.5, "")
    room.enter()
    assert (room.wait_s, room.refuses()) == (0.51, "late")


def test_a_batch_that_is_not_full_takes_everybody() -> None:
    room = Room("recommend", 1_000, max_wait_s=0.5, n_free=8, drain=busy(1, HandClock()))
    for _ in range(8):
        assert room.refuses(waited_s=9.0) == ""
        room.enter()
    assert room.refuses() == "late"


def test_while_nothing_is_known_of_the_speed_only_the_number_counts() -> None:
    room = Room("recommend", 3, max_wait_s=0.001, drain=DrainRate(lambda: 0.0))
    room.enter()
    room.enter()
    assert (room.wait_s, room.refuses()) == (0.0, "")


def test_an_empty_room_takes_somebody_however_slow_it_was() -> None:
    assert Room("recommend", 1, max_wait_s=0.001, drain=busy(1, HandClock())).refuses() == ""


def test_the_rate_is_what_ends_in_a_busy_time_whatever_the_batches_are() -> None:
    clock = HandClock()
    drain = DrainRate(clock, memory_s=1e9)
    drain.answered(999, waiting=1)  # when the time before it began nobody knows
    for n, passed_s in ((64, 0.1), (64, 0.0), (10, 0.1)):
        clock.now_s += passed_s
        drain.answered(n, waiting=1)
    assert drain.per_s == pytest.approx((64 + 64 + 10) / 0.2)


def test_a_time_in_which_nobody_waited_says_nothing_of_the_speed() -> None:
    clock = HandClock()
    drain = DrainRate(clock)
    for waiting in (0, 1, 0, 1, 0):
        drain.answered(1, waiting=waiting)
        clock.now_s += 10.0
    assert drain.per_s == 0.0


def test_what_was_long_ago_counts_for_little() -> None:
    clock = HandClock()
    drain = busy(10, clock)
    for _ in range(50):
        clock.now_s += 0.1
        drain.answered(100, waiting=1)
    assert drain.per_s == pytest.approx(1_000.0, rel=0.02)


@given(st.floats(1.0, 5.0), st.floats(20.0, 2_000.0))
def test_an_estimate_that_is_far_too_low_mends_itself_in_seconds(
    estimate_per_s: float, true_per_s: float
) -> None:
    """Nobody waits in a queue, for nearly all are turned away; still the rate is found again."""
    clock = HandClock()
    drain = busy(estimate_per_s, clock)
    room = Room("recommend", 1_000, max_wait_s=0.5, drain=drain)
    began_s = clock.now_s
    while clock.now_s < began_s + 8.0:
        while not room.refuses():
            room.enter()
        n, room.n_inside = room.n_inside, 0
        clock.now_s += n / true_per_s
        drain.answered(n, waiting=0)
    assert drain.per_s == pytest.approx(true_per_s, rel=0.05)


def test_the_figures_name_every_room() -> None:
    rooms = rooms_of(OverloadSettings(), DrainRate(lambda: 0.0))
    rooms.events.enter()
    rooms.show()
    assert REGISTRY.get_sample_value("marquee_inside", {"kind": "events"}) == 1.0
    kinds = ("recommend", "reads", "probes", "large-bodies")
    assert [REGISTRY.get_sample_value("marquee_inside", {"kind": kind}) for kind in kinds] == [0.0] * 4


def test_whoever_is_refused_was_asked_for_all_the_same() -> None:
    demand = Demand(lambda: 0.0)
    rooms = rooms_of(
        OverloadSettings(max_recommends=1), DrainRate(lambda: 0.0), on_refusal=demand.turned_away
    )
    rooms.recommend.enter()
    assert [rooms.recommend.refuses() for _ in range(3)] == ["full"] * 3
    assert (demand.asked, demand.under_way) == (3, 0)


def test_a_rate_that_nothing_bears_out_any_more_is_forgotten() -> None:
    clock = HandClock()
    drain = busy(1, clock)
    room = Room("recommend", 1_000, max_wait_s=0.5, drain=drain)
    room.enter()  # and is stuck: no batch ends any more
    assert room.refuses() == "late"
    clock.now_s += 1.1
    room.refuses()
    assert room.refuses() == ""
