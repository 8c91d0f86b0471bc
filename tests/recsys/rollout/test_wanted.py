"""What values ask for, step by step: a clock that is an argument, bundles that are letters."""

from collections.abc import Sequence

import pytest
from pydantic import ValidationError

from recsys.registry.channels import Channels, promote
from recsys.rollout import transitions
from recsys.rollout.controller import GRACE_S, Readiness, Seen, next_document
from recsys.rollout.plan import RolloutPlan, Step
from recsys.rollout.state import Phase, RolloutState
from recsys.rollout.traffic import TrafficDocument
from recsys.rollout.wanted import Action, Move, Wanted, candidate_of, next_move, request_of

A, B, C = (letter * 16 for letter in "abc")
PLAN = RolloutPlan(steps=(Step(share=0.5, min_time=60.0),), hold=600.0)
OTHER_PLAN = RolloutPlan(steps=(Step(share=0.1, min_time=60.0),), hold=600.0)


def wanted(bundle: str, plan: RolloutPlan = PLAN, attempt: int = 1) -> Wanted:
    return Wanted(bundle=bundle, plan=plan, attempt=attempt)


def move(document: TrafficDocument | None, wish: Wanted, now_s: float = 1_000.0) -> Move:
    assert wish.bundle is not None
    return next_move(document, wish, wish.bundle, now_s=now_s, by="controller")


def written(document: TrafficDocument | None, wish: Wanted, now_s: float = 1_000.0) -> TrafficDocument:
    after = move(document, wish, now_s).document
    assert after is not None
    return after


def walked(document: TrafficDocument, to: Phase, now_s: float = 1_000.0) -> TrafficDocument:
    """Walk a rollout that all goes well with."""
    after = (
        document
        if to is Phase.PREPARING
        else transitions.to_step(document, 0, why="loaded", baseline=None, now_s=now_s, by="controller")
    )
    if to in (Phase.HOLDING, Phase.PROMOTED):
        after = transitions.promote(after, now_s=now_s, by="controller")
    return transitions.settle(after, now_s=now_s, by="controller") if to is Phase.PROMOTED else after


def state_of(document: TrafficDocument) -> RolloutState:
    assert document.rollout is not None
    return document.rollout


def by_ada(document: TrafficDocument, bundle: str) -> TrafficDocument:
    return transitions.start(document, bundle, PLAN, rollout_id="r1", now_s=1_000.0, by="ada")


FIRST = written(None, wanted(A))
STARTED = written(FIRST, wanted(B))


def test_the_first_users_get_the_wanted_bundle_without_a_canary() -> None:
    assert FIRST.lanes == {"blue": A, "green": None}
    assert FIRST.version == 1
    assert move(FIRST, wanted(A)) == Move(Action.NOTHING, f"users have bundle {A}")


def test_another_bundle_is_started_once() -> None:
    assert state_of(STARTED).bundle == B
    assert state_of(STARTED).plan == PLAN
    assert move(STARTED, wanted(B)).action is Action.NOTHING
    assert state_of(STARTED).id == f"w-{request_of(wanted(B), B)}-2"


@pytest.mark.parametrize("phase", [Phase.PREPARING, Phase.RAMPING, Phase.HOLDING, Phase.PROMOTED])
def test_what_is_under_way_or_done_is_left_to_the_plan(phase: Phase) -> None:
    assert move(walked(STARTED, phase), wanted(B)).action is Action.NOTHING


@pytest.mark.parametrize("phase", [Phase.PREPARING, Phase.RAMPING, Phase.HOLDING])
def test_asking_for_the_old_bundle_brings_it_back_at_once(phase: Phase) -> None:
    after = move(walked(STARTED, phase), wanted(A))
    assert after.action is Action.ABORT
    assert after.why == f"no longer wanted: values ask for bundle {A}"
    assert after.document is not None
    assert [(arm.lane, arm.share) for arm in after.document.arms] == [("blue", 1.0)]
    assert move(after.document, wanted(A)).action is Action.NOTHING


@pytest.mark.parametrize("phase", [Phase.PREPARING, Phase.RAMPING])
@pytest.mark.parametrize("wish", [wanted(C), wanted(B, OTHER_PLAN), wanted(B, attempt=2)])
def test_another_wish_on_the_way_calls_it_off_and_comes_when_requests_have_ended(
    phase: Phase, wish: Wanted
) -> None:
    called_off = move(walked(STARTED, phase), wish)
    assert called_off.action is Action.ABORT
    assert called_off.document is not None
    assert move(called_off.document, wish, 1_000.0 + GRACE_S / 2).action is Action.WAIT
    assert move(called_off.document, wish, 1_000.0 + GRACE_S).action is Action.START
    settled = transitions.settle(called_off.document, now_s=1_000.0 + GRACE_S, by="controller")
    assert state_of(written(settled, wish)).bundle == wish.bundle
    again = written(settled, wanted(B))  # it was called off, not judged
    assert state_of(again).id != state_of(STARTED).id


def test_a_third_bundle_comes_while_the_second_is_on_hold() -> None:
    holding = walked(STARTED, Phase.HOLDING)
    assert move(holding, wanted(C), 1_001.0).action is Action.WAIT
    after = written(holding, wanted(C), 1_000.0 + GRACE_S)
    assert after.lanes == {"blue": C, "green": B}


def test_what_was_taken_back_comes_again_only_by_another_attempt_or_plan() -> None:
    aborted = transitions.abort(walked(STARTED, Phase.RAMPING), now_s=1.0, by="controller", why="too slow")
    bad = transitions.settle(aborted, now_s=1.0, by="controller")
    blocked = Move(
        Action.BLOCKED,
        f"bundle {B} was taken back: too slow",
        "raise model.attempt in the values to try it again",
    )
    assert move(bad, wanted(B)) == blocked
    noted = move(bad, wanted(A))
    assert noted.action is Action.NOTE
    assert noted.document is not None
    assert move(noted.document, wanted(B)) == blocked  # also after it was wanted no longer
    assert move(bad, wanted(B, attempt=2)).action is Action.START
    assert move(bad, wanted(B, OTHER_PLAN)).action is Action.START


def test_rolling_back_works_however_often_as_nothing_was_judged_bad() -> None:
    document = FIRST
    for bundle in (B, A, B, A):
        document = walked(written(document, wanted(bundle)), Phase.PROMOTED)
        assert document.bundle_of(document.arms[0]) == bundle


@pytest.mark.parametrize("phase", [Phase.PREPARING, Phase.RAMPING, Phase.HOLDING, Phase.PROMOTED])
def test_what_a_person_starts_is_left_alone(phase: Phase) -> None:
    theirs = walked(by_ada(FIRST, B), phase)
    assert move(theirs, wanted(A)).action is Action.NOTHING


def test_another_plan_for_what_users_have_leaves_what_a_person_started_alone() -> None:
    noted = move(by_ada(FIRST, B), wanted(A, OTHER_PLAN))
    assert noted.action is Action.NOTE
    assert noted.document is not None
    assert noted.document.rollout == by_ada(FIRST, B).rollout


def test_a_new_wish_is_stronger_than_what_a_person_started() -> None:
    assert move(by_ada(FIRST, B), wanted(C)).action is Action.ABORT


def test_a_wish_for_what_a_person_started_is_fulfilled_by_it() -> None:
    noted = move(by_ada(FIRST, B), wanted(B))
    assert noted.action is Action.NOTE
    assert noted.document is not None
    assert move(noted.document, wanted(B)).action is Action.NOTHING
    aborted = transitions.abort(noted.document, now_s=1.0, by="ada")
    assert move(aborted, wanted(B)).why == f"users have bundle {A} and not {B}, by a person's decision"


def test_a_killed_arm_blocks_the_start_and_the_way_out_is_said() -> None:
    killed = transitions.kill(FIRST, "canary", now_s=1.0, by="ada", why="no good")
    assert move(killed, wanted(B)) == Move(
        Action.BLOCKED, "ada killed the arm canary: no good", f"`marquee rollout revive` lets bundle {B} come"
    )


def test_what_is_paused_stays_paused_and_the_way_out_is_said() -> None:
    paused = transitions.pause(STARTED, now_s=1.0, by="ada")
    assert move(paused, wanted(B)).what_to_do == "`marquee rollout resume` lets it go on"
    assert move(paused, wanted(A)).action is Action.ABORT


def test_the_controller_walks_what_values_started() -> None:
    after = next_document(STARTED, Seen(Readiness(refused="corrupt")), now_s=1_001.0)
    assert after is not None
    assert move(after, wanted(B)).why == f"bundle {B} was taken back: the bundle is refused: corrupt"


def test_a_request_keeps_its_name_when_plans_learn_new_settings_with_defaults() -> None:
    spelt_out = RolloutPlan(steps=PLAN.steps, hold="10m", promote=True)
    assert request_of(wanted(B), B) == request_of(wanted(B, spelt_out), B) == "bbbbbb-51ada7d8ca61"


@pytest.mark.parametrize("bundle", ["previous", "", "v2", "a" * 17])
def test_only_bundles_and_channels_that_can_be_followed_are_wanted(bundle: str) -> None:
    with pytest.raises(ValidationError):
        Wanted(bundle=bundle)


def channels(moves: Sequence[tuple[str, str]]) -> Channels:
    now = Channels()
    for bundle, by in moves:
        now = promote(now, bundle, "candidate", expected=now.candidate, by=by, now_s=0.0)
    return now


def test_the_candidate_is_what_somebody_else_put_there_last() -> None:
    assert candidate_of(channels([]), controller="controller") is None
    echoed = channels([(B, "training"), (A, "controller"), (C, "training"), (B, "controller")])
    assert candidate_of(echoed, controller="controller") == C
