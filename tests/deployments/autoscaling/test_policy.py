"""The policy on numbers that can be checked by hand: 10 ms of recall and 20 ms of ranking per request."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from deployments.autoscaling.policy import GraphScaler
from deployments.autoscaling.seen import ROUTER, GraphSeen, LaneSeen, StageKey, StageSeen
from deployments.autoscaling.settings import AutoscalingSettings, Bounds

RECALL, RANKING = StageKey("recall", "blue"), StageKey("ranking", "blue")
COST_S = {"recall": 0.010, "ranking": 0.020}
MOST = 10


def scaler(**changed: object) -> GraphScaler:
    stage = Bounds(least=1, most=MOST)
    return GraphScaler(
        AutoscalingSettings.model_validate(
            {
                "recall": stage,
                "ranking": stage,
                "utilisation": 0.5,
                "slack": 0.0,
                "tolerance": 0.0,
                "hold_s": 60.0,
                **changed,
            }
        )
    )


@dataclass
class World:
    """A graph whose replicas are there as soon as they are asked for."""

    scaler: GraphScaler
    at_s: float = 0.0
    recall: int = 1
    ranking: int = 1

    def decide(
        self,
        asked_per_s: float | None,
        *,
        after_s: float = 1.0,
        tail_s: float | None = None,
        waiting: float = 0.0,
        share: float = 1.0,
        has_bundle: bool = True,
        has_arm: bool = True,
        cost_s: dict[str, float] | None = None,
        measured: bool = True,
        starting: int = 0,
    ) -> tuple[int, int]:
        self.at_s += after_s
        costs = cost_s or COST_S

        def stage(name: str, target: int) -> StageSeen:
            served = None if asked_per_s is None or not measured else asked_per_s * share
            busy = None if served is None else min(served * costs[name], target)
            return StageSeen(
                running=max(target - starting, 0),
                target=target,
                busy=busy,
                served_per_s=None if served is None or busy is None else busy / costs[name],
            )

        targets = self.scaler.decide(
            GraphSeen(
                at_s=self.at_s,
                asked_per_s=asked_per_s,
                latest_per_s=None,
                latest_over_s=1.0,
                computed=1.0,
                waiting=waiting,
                tail_s=tail_s,
                router=StageSeen(running=2, target=2, busy=0.1),
                lanes={
                    "blue": LaneSeen(
                        has_bundle=has_bundle,
                        has_arm=has_arm,
                        share=share,
                        recall=stage("recall", self.recall),
                        ranking=stage("ranking", self.ranking),
                    )
                },
            )
        )
        self.recall, self.ranking = targets[RECALL], targets[RANKING]
        return self.recall, self.ranking


def test_each_stage_gets_what_the_rate_keeps_busy() -> None:
    # 100 requests/s keep 1 recall and 2 ranking replicas busy; half busy means twice as many.
    assert World(scaler()).decide(100.0) == (2, 4)


def test_a_jump_in_load_is_followed_in_one_decision() -> None:
    world = World(scaler())
    assert world.decide(10.0) == (1, 1)
    assert world.decide(200.0) == (4, 8)


def test_what_waits_counts_as_load_until_it_is_gone() -> None:
    # 250 waiting requests, to be gone within 5 s, are 50/s more.
    assert World(scaler()).decide(50.0, waiting=250.0) == (2, 4)


def test_the_graph_shrinks_only_after_the_hold_and_then_at_once() -> None:
    world = World(scaler())
    world.decide(200.0)
    sizes = [world.decide(50.0) for _ in range(61)]
    assert sizes[:60] == [(4, 8)] * 60
    assert sizes[60] == (1, 2)


def test_a_lull_shorter_than_the_hold_changes_nothing() -> None:
    world = World(scaler())
    world.decide(200.0)
    for _ in range(10):
        assert world.decide(20.0, after_s=50.0) == (4, 8)
        assert world.decide(200.0) == (4, 8)


def test_what_is_just_enough_is_left_alone() -> None:
    world = World(scaler(slack=0.2, hold_s=0.0))
    assert world.decide(200.0) == (4, 8)
    assert world.decide(149.0) == (4, 8)  # 149 x 20 ms x 2 x 1.2 = 7.2
    assert world.decide(140.0) == (4, 7)


def test_a_lane_without_a_bundle_has_no_replicas() -> None:
    world = World(scaler(), recall=0, ranking=0)
    assert world.decide(500.0, share=0.0, has_bundle=False, has_arm=False) == (0, 0)


def test_a_lane_that_has_lost_its_bundle_goes_after_the_hold() -> None:
    world = World(scaler())
    world.decide(200.0)
    assert world.decide(200.0, share=0.0, has_bundle=False, has_arm=False, after_s=59.0) == (4, 8)
    assert world.decide(200.0, share=0.0, has_bundle=False, has_arm=False, after_s=2.0) == (0, 0)


@pytest.mark.parametrize("standby", [0, 1])
def test_a_lane_with_a_bundle_and_no_users_stands_by_as_set(standby: int) -> None:
    world = World(scaler(standby_replicas=standby), recall=0, ranking=0)
    assert world.decide(500.0, share=0.0, has_arm=False) == (standby, standby)


def test_a_lane_is_sized_for_its_share_before_it_has_served_anything() -> None:
    """Green has measured nothing; what a request costs is known from blue."""

    def lane(share: float, n: int, served_per_s: float | None) -> LaneSeen:
        def stage(cost_s: float) -> StageSeen:
            busy = None if served_per_s is None else served_per_s * cost_s
            return StageSeen(running=n, target=n, busy=busy, served_per_s=served_per_s)

        return LaneSeen(has_bundle=True, has_arm=True, share=share, recall=stage(0.01), ranking=stage(0.02))

    targets = scaler().decide(
        GraphSeen(
            at_s=0.0,
            asked_per_s=100.0,
            latest_per_s=None,
            latest_over_s=1.0,
            computed=1.0,
            waiting=0.0,
            tail_s=None,
            router=StageSeen(running=2, target=2, busy=0.1),
            lanes={"blue": lane(0.5, 1, 100.0), "green": lane(0.5, 0, None)},
        )
    )
    assert (targets[StageKey("recall", "green")], targets[StageKey("ranking", "green")]) == (1, 2)


def test_an_arm_that_overrides_alone_can_reach_has_replicas() -> None:
    assert World(scaler(), recall=0, ranking=0).decide(100.0, share=0.0) == (1, 1)


def test_what_the_cache_answers_keeps_no_stage_busy() -> None:
    def stage() -> StageSeen:
        return StageSeen(running=1, target=1, busy=1.0, served_per_s=100.0)

    lane = LaneSeen(has_bundle=True, has_arm=True, share=1.0, recall=stage(), ranking=stage())
    targets = scaler().decide(
        GraphSeen(
            at_s=0.0,
            asked_per_s=400.0,
            latest_per_s=None,
            latest_over_s=1.0,
            computed=0.25,
            waiting=0.0,
            tail_s=None,
            router=StageSeen(running=2, target=2, busy=0.1),
            lanes={"blue": lane},
        )
    )
    assert (targets[RECALL], targets[RANKING]) == (2, 2)  # 100/s x 10 ms, half busy


def test_without_measurements_nothing_shrinks_and_nothing_grows() -> None:
    world = World(scaler())
    world.decide(200.0)
    for _ in range(200):
        assert world.decide(None) == (4, 8)


def test_a_stage_that_says_nothing_is_sized_by_what_it_said_last() -> None:
    world = World(scaler())
    world.decide(100.0)
    assert world.decide(200.0, measured=False) == (4, 8)


def test_late_answers_add_to_the_busier_stage_alone() -> None:
    world = World(scaler())
    assert world.decide(100.0) == (2, 4)
    # ranking is busy for 2.0 / 4, recall for 1.0 / 2; make ranking the slower one
    costs = {"recall": 0.008, "ranking": 0.020}
    assert world.decide(100.0, tail_s=1.0, cost_s=costs) == (2, 6)


def test_late_answers_of_idle_stages_are_the_fault_of_something_else() -> None:
    world = World(scaler(hold_s=1_000.0))
    world.decide(200.0)
    before = (world.recall, world.ranking)
    for _ in range(50):
        assert world.decide(10.0, tail_s=9.0) == before


def test_after_more_replicas_for_lateness_it_waits_whether_they_help() -> None:
    world = World(scaler(settle_s=10.0))
    world.decide(100.0)
    first = world.decide(100.0, tail_s=1.0)
    assert [world.decide(100.0, tail_s=1.0) for _ in range(9)] == [first] * 9
    assert world.decide(100.0, tail_s=1.0) != first


def test_a_jump_that_chance_does_not_explain_counts_at_once() -> None:
    graph = GraphSeen(
        at_s=0.0,
        asked_per_s=100.0,
        latest_per_s=300.0,
        latest_over_s=2.0,
        computed=1.0,
        waiting=0.0,
        tail_s=None,
        router=StageSeen(running=1, target=1),
        lanes={},
    )
    assert graph.demand_per_s == 300.0
    # 200 expected, and 14 is one standard deviation: 240 is still chance.
    assert replace(graph, latest_per_s=120.0).demand_per_s == 100.0
    assert replace(graph, latest_per_s=None).demand_per_s == 100.0
    assert replace(graph, asked_per_s=None).demand_per_s is None


def test_while_replicas_are_on_their_way_lateness_asks_for_no_more() -> None:
    world = World(scaler(settle_s=1.0))
    world.decide(100.0)
    for _ in range(20):
        assert world.decide(100.0, tail_s=1.0, starting=1) == (2, 4)


def test_what_lateness_taught_is_kept_while_the_load_lasts_and_forgotten_when_it_falls() -> None:
    world = World(scaler(hold_s=0.0, settle_s=1.0, slack=0.1))
    world.decide(100.0)
    taught = world.decide(100.0, tail_s=0.075)
    assert sum(taught) > sum((2, 4))
    assert [world.decide(100.0, tail_s=0.01) for _ in range(100)] == [taught] * 100
    assert world.decide(50.0, tail_s=0.01) == (2, 3)  # 1.0 x 1.1 and 2.0 x 1.1


def test_the_first_decision_of_a_new_controller_does_not_shrink() -> None:
    world = World(scaler(), recall=4, ranking=8)
    assert world.decide(1.0) == (4, 8)


def test_bounds_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValidationError, match="below least"):
        Bounds(least=3, most=2)


rates = st.one_of(st.none(), st.floats(0, 1e5))
steps = st.lists(
    st.tuples(rates, st.floats(0, 100), st.one_of(st.none(), st.floats(0, 10)), st.floats(0, 1e5)),
    max_size=30,
)


@given(steps, st.floats(0, 1))
def test_bounds_hold_whatever_happens(
    story: Iterable[tuple[float | None, float, float | None, float]], share: float
) -> None:
    world = World(scaler())
    for asked_per_s, after_s, tail_s, waiting in story:
        sizes = world.decide(
            asked_per_s,
            after_s=after_s,
            tail_s=tail_s,
            waiting=waiting,
            share=share,
        )
        assert all(1 <= size <= MOST for size in sizes)


@given(st.lists(st.tuples(st.floats(1, 500), st.floats(1, 2)), min_size=1, max_size=20))
def test_more_load_never_gets_fewer_replicas(loads: list[tuple[float, float]]) -> None:
    """Two graphs with the same past: the one that is asked more at every moment is never the smaller one."""
    little, much = World(scaler()), World(scaler())
    for asked_per_s, times in loads:
        less = little.decide(asked_per_s, after_s=20.0)
        more = much.decide(asked_per_s * times, after_s=20.0)
        assert less[0] <= more[0]
        assert less[1] <= more[1]


@given(st.floats(0, 2_000), st.floats(0, 1), st.floats(0, 1))
def test_at_constant_load_it_decides_once(asked_per_s: float, slack: float, tail_s: float) -> None:
    world = World(scaler(slack=slack, settle_s=5.0, hold_s=30.0))
    sizes = [world.decide(asked_per_s, tail_s=tail_s, after_s=5.0) for _ in range(40)]
    ups = [now for before, now in itertools.pairwise(sizes) if sum(now) > sum(before)]
    downs = [now for before, now in itertools.pairwise(sizes) if sum(now) < sum(before)]
    assert not downs
    assert len(ups) <= 6  # lateness reaches its largest pressure in three steps per stage


@given(st.floats(0, 500), st.floats(0, 500))
def test_the_graph_is_as_large_as_the_rate_asks_for_in_one_decision(before: float, after: float) -> None:
    world = World(scaler())
    world.decide(before)
    recall, ranking = world.decide(after)
    assert recall >= min(MOST, after * 0.010 / 0.5)
    assert ranking >= min(MOST, after * 0.020 / 0.5)


def test_the_router_follows_how_busy_it_is() -> None:
    graph = GraphScaler(AutoscalingSettings(router=Bounds(least=1, most=5), utilisation=0.5))
    seen = GraphSeen(
        at_s=0.0,
        asked_per_s=100.0,
        latest_per_s=None,
        latest_over_s=1.0,
        computed=1.0,
        waiting=0.0,
        tail_s=None,
        router=StageSeen(running=1, target=1, busy=1.4),
        lanes={},
    )
    assert graph.decide(seen) == {ROUTER: 3}
