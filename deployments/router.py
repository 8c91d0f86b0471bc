"""The router: gathers requests, asks the stages, puts lists together, and never comes back empty-handed."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import ceil

import numpy as np
from numpy.typing import NDArray

from deployments.arm_figures import begin_at_zero, count_answers, count_errors, took
from deployments.audience import audience
from deployments.autoscaling.demand import Demand
from deployments.batching import MicroBatcher, OverloadedError, Patience
from deployments.cache import AnswerCache, Key, Kind, Round, key_of
from deployments.drain import DrainRate
from deployments.exploring import share_of
from deployments.exposures import Exposures
from deployments.guard import Guard
from deployments.interleaving import Interleaver
from deployments.lists import answer_of, as_known, hidden_from, popular_list, ranked_lists
from deployments.metrics import BATCH_SIZE, DEGRADED, STATE_ERRORS
from deployments.overload_settings import OverloadSettings, WhenFull
from deployments.question import Answer, Degradation, Question
from deployments.settings import BatchSettings, BreakerSettings, CacheSettings, Deadlines
from deployments.shadow import ShadowCaster
from deployments.showcase import Showcase
from deployments.stages import LaneStages
from deployments.state_reader import StateReader
from deployments.traffic import InForce, Routed
from recsys.core.clock import Clock
from recsys.core.errors import UnavailableError
from recsys.experiments.interleaving import INTERLEAVED
from recsys.features.users import UserBatch
from recsys.recall.candidates import Candidates
from recsys.reranking.exploration import explores
from recsys.state.store import EMPTY, UserState, UserStateStore

_USUAL = OverloadSettings()
_OVERLOAD = Degradation("router", "overload")

Found = tuple[Candidates | None, NDArray[np.float32] | None, list[Degradation]]


class Router:
    """Answers questions in micro-batches.

    Args:
        in_force: returns the traffic document in force and its lanes; None before there is one.
        stages: lane -> recall and ranking.
        state: what is remembered of users.
        batch: how requests are gathered.
        deadlines: how long each stage may take.
        breaker: when a failing stage is left alone.
        clock: monotonic seconds.
        cache: lists of a moment ago; None: there is none.
        exposures: takes down what is answered; None: nobody does.
        overload: what is done when there is too much to do.
        drain: learns how fast this router answers when it is busy.
    """

    def __init__(
        self,
        in_force: Callable[[], InForce | None],
        stages: Mapping[str, LaneStages],
        state: UserStateStore,
        *,
        batch: BatchSettings,
        deadlines: Deadlines,
        breaker: BreakerSettings,
        clock: Clock,
        cache: AnswerCache | None = None,
        exposures: Exposures | None = None,
        overload: OverloadSettings = _USUAL,
        drain: DrainRate | None = None,
    ) -> None:
        self._in_force = in_force
        self._clock = clock
        self._stages = stages
        self._state = StateReader(state, clock)
        self.cache = cache or AnswerCache(CacheSettings(enabled=False), clock)
        self._exposures = exposures
        self._reading = Guard("state", "", deadlines.state_s, breaker, clock)
        self._recall = {lane: Guard("recall", lane, deadlines.recall_s, breaker, clock) for lane in stages}
        self._ranking = {lane: Guard("ranking", lane, deadlines.ranking_s, breaker, clock) for lane in stages}
        self.demand = Demand(clock)
        patience = Patience(overload.max_recommends, overload.max_wait_s, clock)
        self._batchers = {
            (lane, in_turns): MicroBatcher(
                partial(self.answer_all, lane), batch, patience=patience, drain=drain
            )
            for lane in stages
            for in_turns in (False, True)  # who waits for two lanes keeps nobody waiting who needs one
        }
        self._max_in_flight = batch.max_in_flight
        self._shared_out: InForce | None = None
        self._shadow = ShadowCaster(self._computed, clock)
        self._interleaver = Interleaver(self._computed, clock)
        self._popular_when_full = overload.when_full is WhenFull.POPULAR
        begin_at_zero()

    async def answer(self, question: Question, *, since_s: float | None = None) -> Answer:
        """Answer one question, together with others that come at the same time.

        Args:
            question: what is asked.
            since_s: when the client began to wait, in monotonic seconds; None: now.

        Raises:
            FieldError: it asks for an arm that is not there.
            UnavailableError: this router has not loaded any bundle yet, or too many others are waiting.
        """
        in_force = self._now_in_force()
        if in_force is not self._shared_out:
            self._share_out(in_force)
        routed = in_force.route(question)
        began_s = self._clock() if since_s is None else since_s
        try:
            with self.demand.request():
                batcher = self._batchers[routed.route.lane, routed.route.arm == INTERLEAVED]
                answer = await batcher.ask(routed, since_s=began_s)
        except OverloadedError:
            if not self._popular_when_full:
                raise
            return self.popular_instead(question)
        took(answer, self._clock() - began_s)
        return answer

    @property
    def n_waiting(self) -> int:
        """Questions that are in no batch yet."""
        return sum(batcher.n_waiting for batcher in self._batchers.values())

    def popular_instead(self, question: Question) -> Answer:
        """Answer with what is popular because there is no time for more, and say so."""
        answer = self.popular(question)
        answer.degraded.append(_OVERLOAD)
        DEGRADED.labels(_OVERLOAD.stage, _OVERLOAD.why).inc()
        return answer

    def popular(self, question: Question) -> Answer:
        """Answer with what is popular, whoever asks.

        Raises:
            UnavailableError: this router has not loaded any bundle yet.
        """
        routed = self._now_in_force().route(question)
        asked, showcase = [routed], routed.route.showcase
        found = self._look(asked, [EMPTY], as_of_s=self.cache.now_s(), kind=Kind.POPULAR)
        if found.to_compute:
            users = audience([routed.question], [EMPTY], showcase)
            listed = popular_list(showcase, routed.question, hidden_from(users, 0))
            found.answers = [answer_of(routed, listed, [])]
        made = found.complete()
        if self._exposures is not None:
            self._exposures.served([question], made, call="popular")
        return made[0]

    def close(self) -> None:
        """Let the threads end; what was answered is on the disk then."""
        self._state.close()
        if self._exposures is not None:
            self._exposures.close()

    async def answer_all(self, lane: str, asked: Sequence[Routed]) -> list[Answer]:
        """Answer a batch of one lane: one call to the user state, then one to recall and ranking.

        Batches are of one lane so that a lane that is slow, or down, keeps nobody else waiting.
        """
        BATCH_SIZE.observe(len(asked))
        as_of_s = self.cache.now_s()
        states, unread = await self._states_of([one.question for one in asked])
        found = self._look(asked, states, as_of_s=as_of_s, unread=unread is not None)
        self.demand.found(len(asked), len(found.to_compute))
        other_half = self._interleaver.begin(self._in_force(), asked, states, found.to_compute, unread)
        try:
            await self._make(lane, asked, states, unread, found)
            if other_half is not None:
                await other_half.join(asked, found.answers)
        finally:
            if other_half is not None:
                await other_half.drop()
        computed = [answer for place in found.to_compute if (answer := found.answers[place]) is not None]
        complete = found.complete()
        if self._exposures is not None:
            self._exposures.served([one.question for one in asked], complete)
        if computed and (in_force := self._in_force()) is not None:
            chosen = found.to_compute
            self._shadow.cast(
                in_force, [asked[place] for place in chosen], [states[place] for place in chosen], computed
            )
        return complete

    async def _make(
        self,
        lane: str,
        asked: Sequence[Routed],
        states: Sequence[UserState],
        unread: Degradation | None,
        found: Round,
    ) -> None:
        """Compute what the cache did not have."""
        parts: dict[int, list[int]] = {}  # of more than one only while the lane changes bundle or catalogue
        for place in found.to_compute:
            parts.setdefault(id(asked[place].route.showcase), []).append(place)
        for own in parts.values():
            part = await self._computed(
                lane, [asked[place] for place in own], [states[place] for place in own], unread
            )
            for place, made in zip(own, part, strict=True):
                found.answers[place] = made

    def forget(self, user_id: str) -> None:
        """Let go of everything that is kept of a user."""
        self.cache.forget(user_id)

    def _share_out(self, in_force: InForce) -> None:
        """Share out the batches that may be under way at once: as many users, so many batches, but one each.

        They share the machine, so that more of them at once would only be smaller.
        """
        document = in_force.document
        shares = dict.fromkeys(self._stages, 0.0)
        for arm in document.arms:
            shares[document.arms[0].lane if arm.arm in document.killed else arm.lane] += arm.share
        turns = 0.0 if in_force.interleaving is None else in_force.interleaving.share
        for (lane, in_turns), batcher in self._batchers.items():
            share = shares[lane] * (turns if in_turns else 1.0 - turns)
            batcher.max_in_flight = max(1, ceil(self._max_in_flight * share - 0.5))
        self._shared_out = in_force

    def _look(
        self,
        asked: Sequence[Routed],
        states: Sequence[UserState],
        *,
        as_of_s: float,
        kind: Kind | None = None,
        unread: bool = False,
    ) -> Round:
        """Ask the cache; who was taken for anonymous because of an error gets and leaves nothing there."""
        keys = [
            None
            if not self.cache.is_on
            or (unread and one.question.user_id is not None)
            or one.route.arm == INTERLEAVED  # of two bundles, and only one is in the key
            else self._key(one, state, kind)
            for one, state in zip(asked, states, strict=True)
        ]
        return Round(self.cache, asked, keys, as_of_s)

    def _key(self, routed: Routed, state: UserState, kind: Kind | None) -> Key | None:
        question, route = routed
        explore = 0.0 if kind is Kind.POPULAR else share_of(routed)
        if explores(question.request_id, explore):  # what is drawn is this request's alone
            return None
        return key_of(question, state, kind=kind, arm=route.arm, showcase=route.showcase, explore=explore)

    def _now_in_force(self) -> InForce:
        in_force = self._in_force()
        if in_force is None:
            raise UnavailableError("router", "no bundle is loaded")
        return in_force

    async def _states_of(self, questions: Sequence[Question]) -> tuple[list[UserState], Degradation | None]:
        """Return what is stored of each user; EMPTY of all, and why, when it cannot be read."""
        user_ids = list(dict.fromkeys(q.user_id for q in questions if q.user_id is not None))
        if not user_ids:
            return [EMPTY] * len(questions), None
        try:
            if not self._reading.allows():
                raise self._reading.resting()
            read = await self._reading.result(self._state.read(user_ids))
        except UnavailableError as error:
            STATE_ERRORS.labels("read").inc()
            return [EMPTY] * len(questions), _left_out(self._reading, error)
        found: dict[str | None, UserState] = dict(zip(user_ids, read, strict=True))
        return [found.get(question.user_id, EMPTY) for question in questions], None

    async def _computed(
        self,
        lane: str,
        asked: Sequence[Routed],
        states: Sequence[UserState],
        unread: Degradation | None = None,
    ) -> list[Answer]:
        """Return answers of one lane and bundle, made afresh."""
        try:
            return await self._compute(lane, asked, states, unread)
        except Exception:
            count_errors(asked)
            raise

    async def _compute(
        self,
        lane: str,
        asked: Sequence[Routed],
        states: Sequence[UserState],
        unread: Degradation | None,
    ) -> list[Answer]:
        showcase = asked[0].route.showcase
        questions = [one.question for one in asked]
        users = audience(questions, states, showcase)
        candidates, scores, left_out = await self._found(lane, showcase, questions, users)
        missing = [
            ([unread] if unread and question.user_id is not None else []) + left_out for question in questions
        ]
        if candidates is None:
            listed = [
                popular_list(showcase, question, hidden_from(users, place))
                for place, question in enumerate(questions)
            ]
        else:
            explore = [share_of(one) for one in asked]
            candidates = as_known(showcase, candidates)
            listed = ranked_lists(showcase, questions, users, candidates, scores, explore)
        count_answers(asked, listed, missing)
        return [answer_of(one, made, said) for one, made, said in zip(asked, listed, missing, strict=True)]

    async def _found(
        self, lane: str, showcase: Showcase, questions: Sequence[Question], users: UserBatch
    ) -> Found:
        """Return candidates and scores, None where a stage was left out, and why it was."""
        recall, ranking = self._recall[lane], self._ranking[lane]
        if not recall.allows():
            return None, None, [_left_out(recall, recall.resting())]
        filters = [question.filters for question in questions]
        rank = ranking.allows()
        started = self._stages[lane].start(
            showcase.bundle,
            users,
            showcase.n_candidates,
            filters if any(wanted is not None for wanted in filters) else None,
            rank=rank,
        )
        try:
            candidates = await recall.result(started.candidates)
        except UnavailableError as error:
            started.drop_scores()
            return None, None, [_left_out(recall, error)]
        try:
            if started.scores is None:
                raise ranking.resting()
            return candidates, await ranking.result(started.scores), []
        except UnavailableError as error:
            return candidates, None, [_left_out(ranking, error)]


def _left_out(guard: Guard, error: UnavailableError) -> Degradation:
    """Return what to say of a stage that an answer does without."""
    return Degradation(guard.stage, str(error.args[-1]))
