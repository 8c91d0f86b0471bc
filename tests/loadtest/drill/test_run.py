"""What a drill says of a scene that is over."""

from dataclasses import replace

import pytest

from loadtest.drill.run import Ended
from loadtest.drill.scenes import PLAN, SCENES
from loadtest.live.result import ArmResult, ArmStep, EventsResult, LiveResult, LiveSecond
from recsys.experiments.guardrails import Outcome
from recsys.rollout.state import Decision, Judged, Phase, RolloutState, What

A, B = "a" * 16, "b" * 16
BY_NAME = {scene.name: scene for scene in SCENES}


def rollout(phase: Phase, *verdicts: Judged) -> RolloutState:
    what = What.ABORT if phase is Phase.ABORTED else What.PROMOTE
    decision = Decision(
        at_s=130.0, what=what, why="so", by="controller", phase=phase, share=0.0, verdicts=verdicts
    )
    return RolloutState(
        id="drill", plan=PLAN, bundle=B, lane="green", stable_bundle=A, stable_lane="blue",
        phase=phase, since_s=130.0, decisions=(decision,),
    )  # fmt: skip


def live(*steps: ArmStep, last_canary_s: int = 29, failed: int = 0) -> LiveResult:
    failures = {"timeout": failed} if failed else {}
    arm = ArmResult("canary", (B,), 10, failures, 0, 100, 0, 0, 90, 30, 0.3, 0.3, 5.0, 9.0)
    second = LiveSecond(last_canary_s, "canary", 1, 0, 0, 10, 3, 5.0, 9.0)
    events = EventsResult(10, {"accepted": 10}, {})
    return LiveResult(
        "http://films", "run", 100.0, 40.0, 10, 0, {"known": 10}, (arm,), events, (second,), {"u1": steps}
    )


SHORT = Judged(metric="short_share", outcome=Outcome.BAD, why="so")
WALK = (ArmStep(1.0, "stable"), ArmStep(20.0, "canary"), ArmStep(31.0, "stable"))


def test_a_bad_canary_that_its_guardrail_took_back_is_as_it_should_be() -> None:
    ended = Ended(BY_NAME["short"], rollout(Phase.ABORTED, SHORT), live(*WALK))
    assert ended.faults() == []
    assert ended.back_s == 0.0


def test_a_good_canary_that_was_promoted_is_as_it_should_be() -> None:
    assert Ended(BY_NAME["better"], rollout(Phase.PROMOTED), live(*WALK[:2])).faults() == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scene": BY_NAME["better"]}, "ended as aborted"),
        ({"rollout": rollout(Phase.PROMOTED)}, "ended as promoted"),
        ({"scene": BY_NAME["slow"]}, "taken back by ['short_share'], not by any of ['answer_p95']"),
        ({"live": live(*WALK, failed=2)}, "2 failed requests"),
        ({"live": live(*WALK, last_canary_s=33)}, "still answered 3.0 s after its end"),
        (
            {"live": live(ArmStep(5.0, "canary"), ArmStep(9.0, "stable"))},
            "1 users left the canary while it ramped",
        ),
    ],
)
def test_whatever_should_not_have_happened_is_said(change: dict[str, object], said: str) -> None:
    ended = Ended(BY_NAME["short"], rollout(Phase.ABORTED, SHORT), live(*WALK))
    faults = replace(ended, **change).faults()  # type: ignore[arg-type]  # its fields
    assert any(said in fault for fault in faults), faults


def test_every_bad_scene_names_a_guardrail_of_the_plan() -> None:
    for scene in SCENES:
        watched = {guardrail.metric for guardrail in scene.plan.guardrails}
        assert bool(scene.seen_by) is not scene.better
        assert scene.seen_by <= watched
