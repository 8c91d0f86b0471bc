from hypothesis import given
from hypothesis import strategies as st

from deployments.admission import Room, rooms_of
from deployments.autoscaling.demand import Demand
from deployments.drain import DrainRate
from deployments.overload_settings import OverloadSettings


def busy(per_s: float) -> DrainRate:
    drain = DrainRate()
    drain.answered(int(per_s), 1.0, abreast=1, waiting=1)
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
    room = Room("recommend", 1_000, max_wait_s=0.5, drain=busy(100))
    for _ in range(50):
        room.enter()
    assert (room.wait_s, room.refuses()) == (0.5, "")
    room.enter()
    assert (room.wait_s, room.refuses()) == (0.51, "late")


def test_while_nothing_is_known_of_the_speed_only_the_number_counts() -> None:
    room = Room("recommend", 3, max_wait_s=0.001, drain=DrainRate())
    room.enter()
    room.enter()
    assert (room.wait_s, room.refuses()) == (0.0, "")


def test_an_empty_room_takes_somebody_however_slow_it_was() -> None:
    assert Room("recommend", 1, max_wait_s=0.001, drain=busy(1)).refuses() == ""


def test_two_batches_abreast_answer_twice_as_much() -> None:
    drain = DrainRate()
    drain.answered(64, 0.5, abreast=2, waiting=5)
    assert drain.per_s == 256.0
    drain.answered(64, 1.0, abreast=2, waiting=5)
    assert drain.per_s == 256.0 + 0.2 * (128.0 - 256.0)


def test_a_batch_that_nobody_waits_behind_says_nothing_of_the_speed() -> None:
    drain = DrainRate()
    drain.answered(1, 0.5, abreast=1, waiting=0)
    assert drain.per_s == 0.0


@given(st.floats(0.01, 5.0), st.floats(20.0, 2_000.0))
def test_an_estimate_that_is_far_too_low_mends_itself(estimate_per_s: float, true_per_s: float) -> None:
    """Nobody waits in a queue, for nearly all are turned away; still the rate is found again."""
    drain = DrainRate()
    drain.answered(1, 1 / estimate_per_s, abreast=1, waiting=1)
    room = Room("recommend", 1_000, max_wait_s=0.5, drain=drain)
    for _ in range(60):
        while not room.refuses():
            room.enter()
        n, room.n_inside = room.n_inside, 0
        drain.answered(n, n / true_per_s, abreast=1, waiting=0)
    assert 0.9 * true_per_s < drain.per_s < 1.1 * true_per_s


def test_the_figures_name_every_room() -> None:
    rooms = rooms_of(OverloadSettings(), DrainRate())
    rooms.events.enter()
    lines = list(rooms.figures())
    assert 'marquee_inside{kind="events"} 1' in lines
    assert sum(line.startswith("marquee_inside{") for line in lines) == 5


def test_whoever_is_refused_was_asked_for_all_the_same() -> None:
    demand = Demand(lambda: 0.0)
    rooms = rooms_of(OverloadSettings(max_recommends=1), DrainRate(), on_refusal=demand.turned_away)
    rooms.recommend.enter()
    assert [rooms.recommend.refuses() for _ in range(3)] == ["full"] * 3
    assert (demand.asked, demand.under_way) == (3, 0)
