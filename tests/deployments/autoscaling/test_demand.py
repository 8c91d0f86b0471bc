"""What a router counts, on a clock that is set by hand."""

import pytest

from deployments.autoscaling.demand import Demand, router_report, stage_report
from recsys.rollout.traffic import Arm, Shadow, TrafficDocument


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def ask(demand: Demand, clock: HandClock, took_s: float, times: int = 1) -> None:
    for _ in range(times):
        with demand.request():
            clock.now_s += took_s


def test_the_tail_is_the_99th_percentile_rounded_up_by_a_fifth_at_most() -> None:
    clock = HandClock()
    demand = Demand(clock, window_s=1_000.0)
    ask(demand, clock, 0.010, 98)
    ask(demand, clock, 0.200, 2)
    tail_s = demand.tail_s()
    assert tail_s is not None
    assert 0.200 <= tail_s <= 0.240


def test_one_slow_answer_in_a_hundred_is_not_the_tail() -> None:
    clock = HandClock()
    demand = Demand(clock, window_s=1_000.0)
    ask(demand, clock, 0.010, 99)
    ask(demand, clock, 0.200)
    tail_s = demand.tail_s()
    assert tail_s is not None
    assert tail_s <= 0.012


def test_fewer_than_a_hundred_answers_have_no_tail() -> None:
    clock = HandClock()
    demand = Demand(clock, window_s=1_000.0)
    ask(demand, clock, 0.010, 99)
    assert demand.tail_s() is None


def test_old_answers_are_forgotten() -> None:
    clock = HandClock()
    demand = Demand(clock, window_s=5.0)
    ask(demand, clock, 0.001, 200)
    assert demand.tail_s() is not None
    clock.now_s += 10.0
    assert demand.tail_s() is None


def test_a_request_that_fails_was_asked_too() -> None:
    demand = Demand(HandClock())

    def fail() -> None:
        with demand.request():
            assert demand.under_way == 1
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert (demand.asked, demand.under_way) == (1, 0)


def document(version: int, lanes: dict[str, str | None], arms: tuple[Arm, ...]) -> TrafficDocument:
    return TrafficDocument(version=version, lanes=lanes, arms=arms, salt="s", updated_s=0.0)


def test_a_router_reports_the_larger_of_what_is_and_what_will_be() -> None:
    now = document(1, {"blue": "a" * 16, "green": None}, (Arm(arm="stable", lane="blue", share=1.0),))
    arms = (Arm(arm="stable", lane="blue", share=0.75), Arm(arm="canary", lane="green", share=0.25))
    later = document(2, {"blue": "a" * 16, "green": "b" * 16}, arms)
    report = router_report(Demand(HandClock()), busy_s=2.0, waiting=3, documents=[now, later])
    assert report == {
        "asked": 0.0,
        "looked_up": 0.0,
        "computed": 0.0,
        "waiting": 3.0,
        "tail_s": -1.0,
        "busy_s": 2.0,
        "bundle:blue": 1.0,
        "arm:blue": 1.0,
        "share:blue": 1.0,
        "bundle:green": 1.0,
        "arm:green": 1.0,
        "share:green": 0.25,
    }


def test_a_lane_that_only_holds_a_bundle_has_no_arm() -> None:
    only = document(1, {"blue": "a" * 16, "green": "b" * 16}, (Arm(arm="stable", lane="blue", share=1.0),))
    report = router_report(Demand(HandClock()), busy_s=0.0, waiting=0, documents=[only])
    assert (report["bundle:green"], report["arm:green"], report["share:green"]) == (1.0, 0.0, 0.0)


def test_a_lane_that_works_unseen_has_the_share_of_its_shadow() -> None:
    only = document(1, {"blue": "a" * 16, "green": "b" * 16}, (Arm(arm="stable", lane="blue", share=1.0),))
    shadowed = only.model_copy(update={"shadow": Shadow(lane="green", share=0.2)})
    report = router_report(Demand(HandClock()), busy_s=0.0, waiting=0, documents=[shadowed])
    assert (report["arm:green"], report["share:green"], report["share:blue"]) == (1.0, 0.2, 1.0)


def test_a_stage_reports_what_it_did() -> None:
    assert stage_report(7, busy_s=0.5) == {"served": 7.0, "busy_s": 0.5}
