"""The controller as a pure function, with a clock that is an argument."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.core.errors import FieldError, NotFoundError
from recsys.experiments.guardrails import Guardrail
from recsys.experiments.measurements import Figures, Measurements, Outcomes
from recsys.experiments.moments import moments_of
from recsys.rollout import transitions
from recsys.rollout.controller import GRACE_S, Readiness, Seen, next_document
from recsys.rollout.plan import RolloutPlan, Step
from recsys.rollout.state import Phase, RolloutState, What
from recsys.rollout.traffic import Interleaving, TrafficDocument, first_document

A, B = "a" * 16, "b" * 16
PLAN = RolloutPlan(
    steps=(
        Step(share=0.1, min_time=60.0, min_exposures=100),
        Step(share=0.5, min_time=60.0),
        Step(share=1.0, min_time=60.0),
    ),
    guardrails=(Guardrail(metric="degraded_share", compare="difference", limit=0.01, min_sample=50),),
    hold=600.0,
    blind_for=300.0,
    prepare_for=120.0,
)
FIRST = first_document(A, salt="s", updated_s=0.0)
LOADED = Seen(Readiness(loaded=True), Measurements(), {"canary": {"answers": 7.0}})


def started(plan: RolloutPlan = PLAN, now_s: float = 1_000.0) -> TrafficDocument:
    return transitions.start(FIRST, B, plan, rollout_id="r1", now_s=now_s, by="ada")


def ramping(plan: RolloutPlan = PLAN, now_s: float = 1_000.0) -> TrafficDocument:
    document = next_document(started(plan, now_s), LOADED, now_s=now_s)
    assert document is not None
    return document


def seen(
    n: int = 1_000, degraded: int = 0, n_stable: int = 1_000, *, document: TrafficDocument | None = None
) -> Seen:
    figures = {"canary": Figures(answers=n, degraded=degraded), "stable": Figures(answers=n_stable)}
    shares = document.shares if document is not None else {"stable": 0.9, "canary": 0.1}
    return Seen(measured=Measurements(figures=figures, shares=shares), totals={})


def state_of(document: TrafficDocument | None) -> RolloutState:
    assert document is not None
    assert document.rollout is not None
    return document.rollout


def test_preparing_gives_the_bundle_to_the_idle_lane_and_no_user_to_the_bundle() -> None:
    document = started()
    assert document.lanes == {"blue": A, "green": B}
    assert document.shares == {"stable": 1.0}
    assert next_document(document, Seen(), now_s=1_001.0) is None
    assert state_of(document).decisions[-1].what is What.START


def test_the_first_users_come_when_the_lane_is_ready() -> None:
    document = ramping()
    assert document.shares == {"stable": 0.9, "canary": 0.1}
    assert state_of(document).baseline == {"canary": {"answers": 7.0}}


def test_no_user_comes_before_it_is_known_where_the_counters_stand() -> None:
    unmeasured = Seen(Readiness(loaded=True))
    assert next_document(started(), unmeasured, now_s=1_001.0) is None
    late = next_document(started(), unmeasured, now_s=1_120.0)
    assert state_of(late).decisions[-1].why == "no fresh measurements within 120 s"


def test_a_bundle_that_is_refused_or_never_loaded_is_taken_back_unseen() -> None:
    refused = next_document(started(), Seen(Readiness(refused="ranker/model: differs")), now_s=1_001.0)
    assert state_of(refused).phase is Phase.ABORTED
    assert "ranker/model: differs" in state_of(refused).decisions[-1].why
    late = next_document(started(), Seen(), now_s=1_120.0)
    assert "within 120 s" in state_of(late).decisions[-1].why


def test_it_goes_on_only_when_time_and_exposures_and_guardrails_allow() -> None:
    document = ramping()
    assert next_document(document, seen(), now_s=1_059.0) is None
    few = next_document(document, seen(n=99), now_s=1_060.0)
    assert (state_of(few).step, state_of(few).decisions[-1].what) == (0, What.HOLD)
    assert "exposures (100 needed)" in state_of(few).decisions[-1].why
    onward = next_document(document, seen(), now_s=1_060.0)
    assert (state_of(onward).step, onward and onward.shares["canary"]) == (1, 0.5)
    assert [verdict.metric for verdict in state_of(onward).decisions[-1].verdicts] == ["degraded_share"]


def test_where_reactions_are_judged_answers_count_once_their_lists_are_known() -> None:
    watched = Guardrail(metric="watch_rate", compare="ratio", limit=0.5, min_sample=2)
    plan = PLAN.model_copy(update={"guardrails": (*PLAN.guardrails, watched)})
    document = ramping(plan)
    rates = {"watch_rate": moments_of([0.2, 0.3], [1.0, 1.0])}

    def known(lists: int) -> Seen:
        outcomes = {arm: Outcomes(users=2, lists=lists, rates=rates) for arm in ("canary", "stable")}
        figures = {"canary": Figures(answers=1_000), "stable": Figures(answers=1_000)}
        shares = {"stable": 0.9, "canary": 0.1}
        return Seen(measured=Measurements(figures, outcomes, shares), totals={})

    few = next_document(document, known(99), now_s=1_060.0)
    assert "exposures (100 needed)" in state_of(few).decisions[-1].why
    assert state_of(next_document(document, known(100), now_s=1_060.0)).step == 1


def test_too_few_data_hold_it_and_the_reason_is_written_once() -> None:
    document = ramping()
    held = next_document(document, seen(n_stable=10), now_s=1_060.0)
    assert held is not None
    assert "too few data: degraded_share" in state_of(held).decisions[-1].why
    assert next_document(held, seen(n_stable=10), now_s=1_061.0) is None
    assert state_of(next_document(held, seen(), now_s=1_062.0)).step == 1


def test_a_bad_guardrail_takes_it_back_at_once_even_while_paused() -> None:
    document = transitions.pause(ramping(), now_s=1_001.0, by="ada")
    back = next_document(document, seen(degraded=500), now_s=1_002.0)
    assert back is not None
    assert back.shares == {"stable": 1.0}
    assert back.bundle_of(back.arms[0]) == A
    decision = state_of(back).decisions[-1]
    assert (decision.what, decision.verdicts[0].canary) == (What.ABORT, 0.5)
    assert "degraded_share: 50.00% of 1,000" in decision.why


def test_paused_it_goes_no_further_until_it_is_resumed() -> None:
    document = transitions.pause(ramping(), now_s=1_001.0, by="ada", why="lunch")
    assert next_document(document, seen(), now_s=5_000.0) is None
    resumed = transitions.resume(document, now_s=5_001.0, by="ada")
    assert state_of(next_document(resumed, seen(), now_s=5_002.0)).step == 1
    with pytest.raises(FieldError, match="one that is paused"):
        transitions.resume(resumed, now_s=5_003.0, by="ada")
    with pytest.raises(FieldError, match="one that goes on"):
        transitions.pause(document, now_s=5_003.0, by="ada")


def walked(document: TrafficDocument, now_s: float) -> tuple[list[TrafficDocument], float]:
    """Walk a canary without fault to its end."""
    found = [document]
    while not state_of(found[-1]).settled:
        now_s += 10.0
        new = next_document(found[-1], seen(document=found[-1]), now_s=now_s)
        found += [] if new is None else [new]
    return found, now_s


def test_a_good_canary_walks_to_everybody_and_the_old_bundle_stays_for_the_hold() -> None:
    documents, now_s = walked(ramping(), 1_000.0)
    phases = [state_of(document).phase for document in documents]
    assert phases == [Phase.RAMPING] * 3 + [Phase.HOLDING, Phase.PROMOTED]
    assert [document.shares.get("canary") for document in documents] == [0.1, 0.5, 1.0, None, None]
    holding, done = documents[-2:]
    assert (holding.lanes, done.lanes) == ({"blue": A, "green": B}, {"blue": None, "green": B})
    assert [arm.lane for arm in done.arms] == ["green"]
    assert now_s >= 1_000.0 + 3 * 60.0 + 600.0


def test_while_it_holds_the_way_back_is_one_write() -> None:
    document = transitions.promote(ramping(), now_s=1_100.0, by="ada")
    back = transitions.abort(document, now_s=1_200.0, by="ada", why="complaints")
    assert (back.shares, back.arms[0].lane, back.lanes["blue"]) == ({"stable": 1.0}, "blue", A)
    settled = next_document(back, Seen(), now_s=1_200.0 + GRACE_S)
    assert settled is not None
    assert settled.lanes == {"blue": A, "green": None}
    with pytest.raises(FieldError, match="one with a way back"):
        transitions.abort(settled, now_s=1_300.0, by="ada")


def test_the_next_rollout_uses_the_other_lane_and_deals_the_users_anew() -> None:
    documents, now_s = walked(ramping(), 1_000.0)
    again = transitions.start(documents[-1], A, PLAN, rollout_id="r2", now_s=now_s, by="ada")
    assert again.lanes == {"blue": A, "green": B}
    assert (state_of(again).lane, state_of(again).stable_lane) == ("blue", "green")
    assert again.salt == "r2"


def test_a_plan_that_leaves_the_decision_to_people_waits_for_them() -> None:
    plan = PLAN.model_copy(update={"promote": False, "steps": PLAN.steps[:1]})
    document = next_document(ramping(plan), seen(), now_s=9_000.0)
    assert document is not None
    assert state_of(document).decisions[-1].why.endswith("the plan leaves the decision to people")
    assert next_document(document, seen(), now_s=9_999.0) is None
    promoted = transitions.promote(document, now_s=10_000.0, by="ada", why="the report says ship")
    assert state_of(promoted).phase is Phase.HOLDING


def test_without_measurements_it_holds_and_in_the_end_is_taken_back() -> None:
    blind = next_document(ramping(), Seen(), now_s=1_050.0)
    assert blind is not None
    assert state_of(blind).decisions[-1].why == "no fresh measurements"
    assert next_document(blind, Seen(), now_s=1_349.0) is None
    aborted = next_document(blind, Seen(), now_s=1_350.0)
    assert "no measurements for 300 s" in state_of(aborted).decisions[-1].why
    back = next_document(blind, seen(), now_s=1_100.0)
    assert back is not None
    assert state_of(back).decisions[-1].why == "measurements are back"
    blind_again = next_document(back, Seen(), now_s=2_000.0)
    assert state_of(blind_again).phase is Phase.RAMPING


@pytest.mark.parametrize("ramped", [False, True])
def test_a_killed_canary_is_taken_back_and_stays_killed(ramped: bool) -> None:
    document = ramping() if ramped else started()
    killed = transitions.kill(document, "canary", now_s=1_001.0, by="ada", why="it shows nonsense")
    back = next_document(killed, replace(seen(), readiness=Readiness(loaded=True)), now_s=1_002.0)
    assert back is not None
    assert (state_of(back).phase, back.shares) == (Phase.ABORTED, {"stable": 1.0})
    assert state_of(back).decisions[-1].why == "killed by ada: it shows nonsense"
    assert "canary" in back.killed
    with pytest.raises(FieldError, match="`marquee rollout revive` first"):
        transitions.start(back, B, PLAN, rollout_id="r2", now_s=1_003.0, by="ada")
    revived = transitions.revive(back, "canary", now_s=1_004.0, by="ada")
    transitions.start(revived, B, PLAN, rollout_id="r2", now_s=1_005.0, by="ada")
    with pytest.raises(NotFoundError):
        transitions.revive(revived, "canary", now_s=1_006.0, by="ada")


def test_a_shadow_step_is_measured_by_what_the_shadow_did() -> None:
    steps = (Step(share=0.0, shadow=0.2, min_time=10.0, min_exposures=100), *PLAN.steps)
    document = ramping(PLAN.model_copy(update={"steps": steps}))
    assert document.shadow is not None
    assert (document.shadow.lane, document.shadow.share) == ("green", 0.2)
    figures = {"shadow": Figures(answers=500, degraded=400), "stable": Figures(answers=500)}
    bad = Seen(measured=Measurements(figures=figures, shares=document.shares))
    assert state_of(next_document(document, bad, now_s=1_001.0)).phase is Phase.ABORTED
    figures["shadow"] = Figures(answers=500)
    onward = next_document(document, bad, now_s=1_010.0)
    assert onward is not None
    assert (onward.shadow, onward.shares["canary"]) == (None, 0.1)


def test_a_step_whose_lists_are_interleaved_is_judged_by_what_users_choose() -> None:
    steps = (Step(share=0.0, interleave=0.2, min_time=10.0), *PLAN.steps)
    rail = Guardrail(metric="preference", compare="value", limit=0.48, min_sample=100)
    document = ramping(PLAN.model_copy(update={"steps": steps, "guardrails": (rail,)}))
    assert document.interleaving == Interleaving(lane="green", share=0.2)
    assert document.shares["canary"] == 0.0

    def seen(of_canary: float) -> Seen:
        rates = {"preference": moments_of([of_canary] * 400, [4.0] * 400)}
        outcomes = {"interleaved": Outcomes(users=400, lists=400, rates=rates)}
        return Seen(measured=Measurements({}, outcomes, document.shares, interleaved=True))

    back = next_document(document, seen(1.0), now_s=1_001.0)
    assert state_of(back).phase is Phase.ABORTED
    onward = next_document(document, seen(2.0), now_s=1_010.0)
    assert (back.interleaving if back else ..., onward.interleaving if onward else ...) == (None, None)
    assert onward is not None
    assert onward.shares["canary"] == 0.1


def test_a_second_rollout_waits_and_the_bundle_of_the_users_is_none() -> None:
    with pytest.raises(FieldError, match="none under way"):
        transitions.start(ramping(), "c" * 16, PLAN, rollout_id="r2", now_s=1.0, by="ada")
    with pytest.raises(FieldError, match="another bundle than the one that users have"):
        transitions.start(FIRST, A, PLAN, rollout_id="r2", now_s=1.0, by="ada")
    with pytest.raises(FieldError, match="one that is ramping"):
        transitions.promote(started(), now_s=1.0, by="ada")
    with pytest.raises(NotFoundError, match="rollout"):
        transitions.abort(FIRST, now_s=1.0, by="ada")


class Store:
    """Compare-and-swap in memory."""

    def __init__(self, document: TrafficDocument) -> None:
        self.documents = [document]

    def swap(self, new: TrafficDocument, read: TrafficDocument) -> None:
        if read.version == self.documents[-1].version:
            assert new.version == read.version + 1
            self.documents.append(new)


ACTIONS = st.one_of(
    st.tuples(st.just("look"), st.integers(0, 1), st.booleans(), st.integers(0, 120)),
    st.tuples(st.just("write"), st.integers(0, 1), st.booleans(), st.integers(0, 120)),
    st.tuples(
        st.sampled_from(["die", "pause", "resume", "promote", "abort", "kill"]),
        st.integers(0, 1),
        st.booleans(),
        st.integers(0, 120),
    ),
)


@given(st.lists(ACTIONS, max_size=60))
def test_two_controllers_that_die_anywhere_and_people_between_them_do_no_harm(
    actions: list[tuple[str, int, bool, int]],
) -> None:
    store, now_s = Store(started()), 1_000.0
    pending: list[tuple[TrafficDocument, TrafficDocument] | None] = [None, None]
    for what, who, healthy, seconds in actions:
        now_s += seconds
        read = store.documents[-1]
        if what == "look":  # reads and decides; it may write much later, or never
            facts = seen(degraded=0 if healthy else 500, document=read)
            new = next_document(read, replace(facts, readiness=Readiness(loaded=healthy)), now_s=now_s)
            pending[who] = None if new is None else (new, read)
        elif what == "write" and (decided := pending[who]) is not None:
            store.swap(*decided)
        elif what == "die":
            pending[who] = None
        elif what != "write":
            change = getattr(transitions, what)
            extra = ("canary",) if what == "kill" else ()
            try:
                store.swap(change(read, *extra, now_s=now_s, by="ada"), read)
            except FieldError:
                continue
    _check(store.documents)


def _check(documents: list[TrafficDocument]) -> None:
    assert [document.version for document in documents] == list(range(2, len(documents) + 2))
    for before, after in pairwise(documents):
        assert before.killed.keys() <= after.killed.keys()  # nobody revives
        assert {A, B} >= {after.bundle_of(arm) for arm in after.arms}
        was, now = before.shares.get("canary", 0.0), after.shares.get("canary", 0.0)
        what = state_of(after).decisions[-1].what
        if now > was:
            assert what is What.STEP
            assert "canary" not in before.killed
        if now < was:
            assert what in (What.ABORT, What.PROMOTE)
        if state_of(before).phase is Phase.ABORTED:
            assert after.shares == {"stable": 1.0}
            assert after.bundle_of(after.arms[0]) == A


def test_an_arm_that_is_not_there_cannot_be_killed_by_a_slip_of_the_pen() -> None:
    with pytest.raises(NotFoundError, match="no arm named 'canray'; there are: canary, stable"):
        transitions.kill(FIRST, "canray", now_s=1.0, by="ada")
    early = transitions.kill(FIRST, "canary", now_s=1.0, by="ada")
    assert "canary" in early.killed
