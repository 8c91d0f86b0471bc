"""The model of the graph, on loads whose outcome can be worked out by hand."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.autoscaling.seen import StageKey
from deployments.autoscaling.simulation.policies import turns
from deployments.autoscaling.simulation.traces import Trace, traces
from deployments.autoscaling.simulation.world import KEYS, Costs, Moment, Run, Stage, run

NO_CALL = {"recall": 0.0, "ranking": 0.0}
COSTS = Costs(per_call_s=NO_CALL, per_request_s={"recall": 0.005, "ranking": 0.010})


class Fixed:
    """The same numbers for ever."""

    def __init__(self, recall: int, ranking: int) -> None:
        self._targets = {StageKey("recall", "blue"): recall, StageKey("ranking", "blue"): ranking}

    def look(self, moment: Moment) -> None:
        del moment

    def decide(self, at_s: float) -> Mapping[StageKey, int]:
        del at_s
        return self._targets


def lived(rate_per_s: float, recall: int, ranking: int, seconds: int = 120) -> Run:
    trace = Trace("t", "", np.full(seconds, rate_per_s), np.zeros(seconds))
    return run(trace, Fixed(recall, ranking), COSTS, seed=0)


def test_enough_replicas_are_never_late() -> None:
    assert lived(50.0, 1, 1).late == 0.0


def test_too_few_replicas_are_late_for_ever() -> None:
    # Ranking does 100/s of 200/s.
    assert lived(200.0, 2, 1).late > 0.9


def test_replicas_answer_only_after_they_have_started() -> None:
    # One of each to begin with, four ranking from the first second on: late until they answer at 7 s.
    late = lived(150.0, 2, 4, seconds=120).late
    assert 4.0 / 120 < late < 9.0 / 120


def test_replicas_are_paid_for_from_the_decision_on() -> None:
    # Two for the first second, six afterwards.
    assert lived(1.0, 2, 4, seconds=100).replica_s == pytest.approx(2 * 1.0 + 6 * 99.0)


def test_larger_batches_save_work() -> None:
    costs = Costs()
    assert costs.service_s("recall", 1.0) == pytest.approx(0.005)
    assert costs.service_s("recall", 64.0) < 0.0031


def test_a_stage_without_replicas_gives_everything_up() -> None:
    stage = Stage(0)
    assert stage.work(7.0, "recall", COSTS) == (0.0, 7.0)
    assert stage.queue == 0.0


@given(st.lists(st.tuples(st.floats(0, 500), st.integers(0, 9)), max_size=50))
def test_nothing_is_lost_or_made_up(story: list[tuple[float, int]]) -> None:
    stage = Stage(1)
    came = done = given_up = 0.0
    for tick, (arrived, target) in enumerate(story):
        stage.resize(target, float(tick))
        _, lost = stage.work(arrived, "recall", COSTS)
        came, done, given_up = came + arrived, done + stage.served, given_up + lost
        assert 0.0 <= stage.busy <= max(stage.running, 0) + 1e-9
    assert came == pytest.approx(done + given_up + stage.queue)


def test_users_come_to_green_only_when_it_has_replicas() -> None:
    trace = Trace("t", "", np.full(10, 50.0), np.full(10, 0.5))
    shares: list[float] = []

    class Watching(Fixed):
        def look(self, moment: Moment) -> None:
            shares.append(moment.green)

    run(trace, Watching(1, 1), COSTS, seed=0)
    assert set(shares) == {0.0}


def test_turns_count_changes_of_direction() -> None:
    assert turns((1, 2, 2, 3, 2, 4)) == 2
    assert turns((1, 1, 1)) == 0


def test_traces_say_what_they_are() -> None:
    found = traces()
    assert {trace.name for trace in found} >= {"diurnal", "spike", "flash crowd", "sawtooth", "switch-over"}
    for trace in found:
        assert trace.rate_per_s.shape == trace.green_share.shape
        assert (trace.rate_per_s >= 0).all()
    assert len(KEYS) == 4
