"""What people read first."""

from deployments.control.standing import standing
from recsys.rollout import transitions
from recsys.rollout.plan import DEFAULT_PLAN
from recsys.rollout.traffic import first_document
from recsys.rollout.wanted import Action, Move, Wanted

A, B = "a" * 16, "b" * 16
FIRST = first_document(A, salt="s", updated_s=0.0)
FINE = Move(Action.NOTHING, "users have it")


def test_before_the_first_document_it_says_what_it_waits_for() -> None:
    said = standing(None, None, Move(Action.BLOCKED, "no bundle named 'abc'", "register it"))
    assert said["phase"] == "waiting"
    assert (said["why"], said["what_to_do"]) == ("no bundle named 'abc'", "register it")


def test_without_a_rollout_it_serves() -> None:
    said = standing(FIRST, Wanted(bundle=A), FINE)
    assert (said["phase"], said["bundle"], said["wanted"]) == ("serving", A, A)
    assert (said["canary"], said["share"], said["history"]) == ("", "", "")


def test_a_rollout_is_told_with_every_decision() -> None:
    started = transitions.start(FIRST, B, DEFAULT_PLAN, rollout_id="r1", now_s=0.0, by="ada")
    ramping = transitions.to_step(started, 0, why="it is loaded", baseline=None, now_s=1.0, by="controller")
    said = standing(ramping, None, FINE)
    assert (said["phase"], said["bundle"], said["canary"], said["share"]) == ("ramping", A, B, "1.0%")
    assert said["why"] == "it is loaded"
    assert all(word in said["history"] for word in ("ada", "it is loaded", "lane green prepares"))
    assert "\x1b" not in said["history"]


def test_it_reads_the_same_as_long_as_nothing_happens() -> None:
    paused = transitions.pause(
        transitions.start(FIRST, B, DEFAULT_PLAN, rollout_id="r1", now_s=0.0, by="ada"), now_s=1.0, by="ada"
    )
    assert standing(paused, None, FINE) == standing(paused, None, FINE)
    assert standing(paused, None, FINE)["phase"] == "preparing, paused"
    blocked = Move(Action.BLOCKED, "arm killed", "revive it")
    assert standing(paused, None, blocked)["why"] == "arm killed"
