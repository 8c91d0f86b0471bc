"""Whatever values ask for, people do and processes die of: the promises hold after every step."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from recsys.core.errors import RecsysError
from recsys.experiments.measurements import Measurements
from recsys.rollout import transitions
from recsys.rollout.controller import GRACE_S, Readiness, Seen, next_document
from recsys.rollout.desk import Change
from recsys.rollout.plan import RolloutPlan, Step
from recsys.rollout.state import Phase
from recsys.rollout.traffic import TrafficDocument
from recsys.rollout.wanted import Action, Wanted, next_move, request_of

BUNDLES = tuple(letter * 16 for letter in "abc")
PLANS = tuple(
    RolloutPlan(steps=(Step(share=share, min_time=10.0), Step(share=1.0, min_time=10.0)), hold=100.0)
    for share in (0.1, 0.5)
)
WELL = Seen(Readiness(loaded=True), Measurements(), {})
REFUSED = Seen(Readiness(refused="corrupt"))
WISHES = st.sampled_from(
    [
        *(Wanted(bundle=bundle, plan=PLANS[0]) for bundle in BUNDLES),
        Wanted(bundle=BUNDLES[1], plan=PLANS[1]),
        Wanted(bundle=BUNDLES[1], plan=PLANS[0], attempt=2),
    ]
)


class AnyOrder(RuleBasedStateMachine):
    """Plays values, people, the service and processes that die before or after a write."""

    @initialize(wish=WISHES)
    def installed(self, wish: Wanted) -> None:
        self.now_s = 0.0
        self.document: TrafficDocument | None = None
        self.wish = wish
        self.asked_for = {wish.bundle}  # by values or people, ever
        self.judged_bad: set[str] = set()
        self.n_started = 0  # since the values changed

    @rule(wish=WISHES)
    def values_change(self, wish: Wanted) -> None:
        if wish != self.wish:
            self.wish, self.n_started = wish, 0
            self.asked_for.add(wish.bundle)

    @rule(dies_first=st.booleans())
    def values_are_looked_at(self, dies_first: bool) -> None:
        assert self.wish.bundle is not None
        move = next_move(self.document, self.wish, self.wish.bundle, now_s=self.now_s, by="controller")
        assert (move.document is not None) == (
            move.action in (Action.FIRST, Action.START, Action.ABORT, Action.NOTE)
        )
        if self._is_unwanted_under_way():
            assert move.action is Action.ABORT
        if move.document is None or dies_first:
            return
        if move.action is Action.START:
            self.n_started += 1
            assert request_of(self.wish, self.wish.bundle) not in self.judged_bad
        if move.action in (Action.NOTE, Action.ABORT):
            self._check_users_move_only_by_an_abort(move.action, move.document)
        self._write(move.document)

    def _is_unwanted_under_way(self) -> bool:
        assert self.wish.bundle is not None
        state = None if self.document is None else self.document.rollout
        if state is None or not state.under_way or state.request is None:
            return False
        return state.request != request_of(self.wish, self.wish.bundle)

    def _check_users_move_only_by_an_abort(self, action: Action, after: TrafficDocument) -> None:
        assert self.document is not None
        if action is Action.NOTE:
            assert after.arms == self.document.arms
        else:
            assert after.rollout is not None
            assert after.rollout.bundle != self.wish.bundle or after.rollout.request is not None

    @precondition(lambda self: self.document is not None)
    @rule(seen=st.sampled_from([WELL, Seen(), REFUSED]), dies_first=st.booleans())
    def controller_turns(self, seen: Seen, dies_first: bool) -> None:
        assert self.document is not None
        after = next_document(self.document, seen, now_s=self.now_s)
        if after is not None and not dies_first:
            self._write(after, judged=True)

    @precondition(lambda self: self.document is not None)
    @rule(what=st.sampled_from(["start", "abort", "promote", "pause", "resume", "kill", "revive"]))
    def ada_decides(self, what: str) -> None:
        self._try(
            {
                "start": self._ada_starts,
                "abort": lambda now: transitions.abort(now, now_s=self.now_s, by="ada"),
                "promote": lambda now: transitions.promote(now, now_s=self.now_s, by="ada"),
                "pause": lambda now: transitions.pause(now, now_s=self.now_s, by="ada"),
                "resume": lambda now: transitions.resume(now, now_s=self.now_s, by="ada"),
                "kill": lambda now: transitions.kill(now, "canary", now_s=self.now_s, by="ada"),
                "revive": lambda now: transitions.revive(now, "canary", now_s=self.now_s, by="ada"),
            }[what]
        )

    def _ada_starts(self, now: TrafficDocument) -> TrafficDocument:
        after = transitions.start(
            now, BUNDLES[2], PLANS[0], rollout_id=f"r{now.version}", now_s=self.now_s, by="ada"
        )
        self.asked_for.add(BUNDLES[2])
        return after

    def _try(self, how: Change) -> None:
        assert self.document is not None
        try:
            after = how(self.document)
        except RecsysError:
            return  # she is told why
        self._write(after, judged=True)

    @precondition(lambda self: self.document is not None)
    @rule(wish=WISHES)
    def values_ask_for_what_is_bad_and_come_back(self, wish: Wanted) -> None:
        """A sequence that chance seldom finds."""
        back = self.wish
        for one in (wish, back):
            self.values_change(one)
            self.values_are_looked_at(dies_first=False)
            self.controller_turns(REFUSED, dies_first=False)
            self.time_goes_by(GRACE_S)
            self.controller_turns(Seen(), dies_first=False)

    @rule(seconds=st.sampled_from([1.0, 10.0, GRACE_S, 100.0, 1_000.0]))
    def time_goes_by(self, seconds: float) -> None:
        self.now_s += seconds

    def _write(self, after: TrafficDocument, *, judged: bool = False) -> None:
        before, self.document = self.document, after
        state = after.rollout
        was = before.rollout if before is not None else None
        ended = state is not None and was is not None and state.phase is Phase.ABORTED is not was.phase
        if judged and ended and state is not None and state.request is not None:
            self.judged_bad.add(state.request)

    @invariant()
    def users_have_only_what_was_asked_for(self) -> None:
        if self.document is not None:
            assert {self.document.bundle_of(arm) for arm in self.document.arms} <= self.asked_for

    @invariant()
    def a_wish_starts_one_rollout_at_most(self) -> None:
        assert self.document is None or self.n_started <= 1

    def teardown(self) -> None:
        """Left alone with a sound service, it comes to rest where values want it, or says why not."""
        if not hasattr(self, "wish") or self.wish.bundle is None:
            return
        for _ in range(50):
            self.now_s += GRACE_S
            move = next_move(self.document, self.wish, self.wish.bundle, now_s=self.now_s, by="controller")
            if move.document is not None:
                self._write(move.document)
            assert self.document is not None
            after = next_document(self.document, WELL, now_s=self.now_s)
            if after is not None:
                self._write(after)
        assert move.action in (Action.NOTHING, Action.BLOCKED)
        assert self.document is not None
        serving = self.document.bundle_of(self.document.arms[0])
        assert serving == self.wish.bundle or move.what_to_do


AnyOrder.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestInAnyOrder = AnyOrder.TestCase
