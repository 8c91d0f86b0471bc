"""What a report is about."""

import pytest

from recsys.core.errors import NotFoundError
from recsys.experiments.stretches import Stretch
from recsys.rollout import transitions
from recsys.rollout.experiment_plan import plan_of
from recsys.rollout.plan import RolloutPlan, Step
from recsys.rollout.state import RolloutState
from recsys.rollout.subjects import rollout_stretches, subject_of_rollout, subject_of_undeclared
from recsys.rollout.traffic import Kill, TrafficDocument, first_document

PLAN = RolloutPlan(steps=(Step(share=0.0, shadow=0.5), Step(share=0.25), Step(share=0.5), Step(share=1.0)))
JUDGED = plan_of({"arms": {"control": {"share": 0.5}, "other": {"share": 0.5}}, "planned_users": 500})


def walked(n_steps: int) -> TrafficDocument:
    """A step every hundred seconds, the first at 100."""
    first = first_document("a" * 16, salt="s", updated_s=0.0)
    document = transitions.start(first, "b" * 16, PLAN, rollout_id="r1", now_s=0.0, by="ada")
    for step in range(n_steps):
        at_s = 100.0 * (step + 1)
        document = transitions.to_step(document, step, why="", baseline=None, now_s=at_s, by="c")
        document = transitions.hold(document, why="too few data", now_s=at_s + 50.0, by="c")
    return document


def state_of(document: TrafficDocument) -> RolloutState:
    assert document.rollout is not None
    return document.rollout


def stretch(since_s: float, until_s: float, canary: float) -> Stretch:
    return Stretch(since_s, until_s, {"stable": 1.0 - canary, "canary": canary})


def test_a_rollout_is_compared_while_users_are_in_both_arms() -> None:
    stretches = rollout_stretches(state_of(walked(4)), 1_000.0)
    assert stretches == [stretch(202.0, 300.0, 0.25), stretch(302.0, 400.0, 0.5)]  # neither shadow nor all


def test_the_step_under_way_goes_on_until_now() -> None:
    assert rollout_stretches(state_of(walked(3)), 360.0)[-1] == stretch(302.0, 360.0, 0.5)
    subject = subject_of_rollout(state_of(walked(3)), JUDGED, {}, 360.0)
    assert (subject.since_s, subject.until_s, subject.ended) == (202.0, 360.0, False)
    assert (subject.design.arms, subject.design.planned_users) == ({"stable": 0.5, "canary": 0.5}, 500)


def test_what_was_taken_back_ended_then() -> None:
    aborted = transitions.abort(walked(2), now_s=260.0, by="ada", why="no")
    subject = subject_of_rollout(state_of(aborted), JUDGED, {}, 1_000.0)
    assert (subject.until_s, subject.ended, subject.title) == (260.0, True, "rollout r1, aborted")


@pytest.mark.parametrize("n_steps", [0, 1])
def test_before_users_are_in_both_arms_there_is_nothing_to_report(n_steps: int) -> None:
    with pytest.raises(NotFoundError, match="step with users in both arms"):
        subject_of_rollout(state_of(walked(n_steps)), JUDGED, {}, 1_000.0)


def test_a_comparison_ends_when_an_arm_is_killed() -> None:
    canary = {"canary": Kill(at_s=350.0, by="ada"), "tint/on": Kill(at_s=1.0, by="ada")}
    subject = subject_of_rollout(state_of(walked(3)), JUDGED, canary, 400.0)
    assert list(subject.stretches) == [stretch(202.0, 300.0, 0.25), stretch(302.0, 350.0, 0.5)]
    arms = {"off": {"share": 0.5}, "on": {"share": 0.5, "variety": 0.3}}
    wild = plan_of({"arms": arms}).experiment("wild", 10.0)
    killed = {"wild/on": Kill(at_s=15.0, by="ada"), "other/on": Kill(at_s=12.0, by="ada")}
    subject = subject_of_undeclared(wild, JUDGED, killed, 20.0)
    assert (subject.until_s, subject.ended) == (15.0, True)


def test_an_undeclared_experiment_has_its_own_arms() -> None:
    arms = {"off": {"share": 0.9}, "on": {"share": 0.1, "variety": 0.3}}
    wild = plan_of({"arms": arms}).experiment("wild", 10.0)
    subject = subject_of_undeclared(wild, JUDGED, {}, 20.0)
    assert (subject.design.arms, subject.design.control) == ({"off": 0.9, "on": 0.1}, "off")
    assert subject.arms_are == {"off": "as it is", "on": "variety 0.3"}
    assert (subject.since_s, subject.until_s, subject.experiment) == (10.0, 20.0, "wild")
