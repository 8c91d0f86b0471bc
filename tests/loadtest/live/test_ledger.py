import numpy as np

from loadtest.live.ledger import Ledger
from loadtest.live.reactions import NOTHING, Reactions
from loadtest.live.result import ArmStep, LiveResult, Move
from loadtest.live.wire import Shown

SHOWN = Shown("r1", "canary", "b2", ("a", "b", "c", "d"), degraded=True)
WATCH, SKIP = 0, 4  # positions in Kind
REACTIONS = Reactions(
    np.ones((1, 4), np.bool_),
    np.array([[WATCH, SKIP, NOTHING, WATCH]], np.int8),
    np.array([[0.9, 0.1, np.nan, 0.5]], np.float32),
    np.array([[0.5, 0.25, 0.25, 0.0]], np.float32),
)


def result_of(ledger: Ledger) -> LiveResult:
    return LiveResult(
        url="http://a", run_id="t", started_unix_s=0.0, elapsed_s=3.0, n_asked=3, n_unfinished=0, visitors={},
        arms=ledger.arms(), events=ledger.events(), seconds=ledger.seconds(), paths=ledger.paths(),
    )  # fmt: skip


def test_counts_are_what_came_and_what_was_made_of_it() -> None:
    ledger = Ledger()
    ledger.answered(SHOWN, REACTIONS, at_s=0.5, latency_s=0.004)
    ledger.answered(SHOWN, REACTIONS, at_s=1.5, latency_s=0.002, n_met_again=3)
    ledger.exhausted("canary", 1.5)
    ledger.failed("short list", 1.5, "canary")
    ledger.failed("timeout", 1.6)
    nobody, canary = ledger.arms()
    assert (nobody.arm, nobody.n_answers, nobody.failures, nobody.p50_ms) == ("", 0, {"timeout": 1}, None)
    assert (canary.n_answers, canary.n_shown, canary.n_looked, canary.n_watched) == (2, 8, 6, 4)
    assert (canary.watch_rate, canary.n_degraded, canary.failures) == (0.5, 2, {"short list": 1})
    assert (canary.true_watch_rate, canary.n_met_again, canary.n_exhausted) == (0.25, 3, 1)
    assert (canary.p50_ms, canary.p99_ms) == (2.0, 4.001)  # the highest that shares a bucket of three digits
    line = [(second.at_s, second.arm, second.n_answers, second.n_failed) for second in ledger.seconds()]
    assert line == [(0, "canary", 1, 0), (1, "", 0, 1), (1, "canary", 1, 1)]


def test_a_path_has_a_step_for_every_change_and_no_other() -> None:
    ledger = Ledger()
    for at_s, arm in ((0.0, "stable"), (1.0, "stable"), (2.0, "canary"), (3.0, "canary"), (4.0, "stable")):
        ledger.met("ada", arm, asked_s=at_s, at_s=at_s + 0.1)
    ledger.met("bob", "stable", asked_s=0.0, at_s=0.1)
    assert ledger.paths()["ada"] == (ArmStep(0.1, "stable"), ArmStep(2.1, "canary"), ArmStep(4.1, "stable"))
    result = result_of(ledger)
    assert result.moves == (Move("ada", 2.1, "stable", "canary"), Move("ada", 4.1, "canary", "stable"))
    assert result.summary()["moves"] == {"stable -> canary": 1, "canary -> stable": 1}
    assert result.summary()["n_users"] == 2


def test_an_answer_that_was_overtaken_says_nothing_of_the_arm() -> None:
    ledger = Ledger()
    ledger.met("ada", "canary", asked_s=2.0, at_s=2.1)
    ledger.met("ada", "stable", asked_s=1.9, at_s=2.2)  # asked before, answered after
    assert ledger.paths()["ada"] == (ArmStep(2.1, "canary"),)


def test_everything_that_went_wrong_is_in_one_sum() -> None:
    ledger = Ledger()
    ledger.failed("timeout", 0.0)
    ledger.events_failed("timeout")
    ledger.events_answered(["accepted", "rejected", "rejected"])
    result = result_of(ledger)
    assert result.failures == {"timeout": 1, "events: timeout": 1, "events: rejected": 2}
    assert result.n_failed == 4
