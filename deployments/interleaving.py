"""Lists in which the lane of the first arm and another one take turns."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from deployments.lists import cursor_of, packed
from deployments.metrics import ARM_SECONDS, INTERLEAVED_FATES
from deployments.question import Answer, Degradation, Question
from deployments.showcase import Showcase
from deployments.traffic import InForce, Route, Routed
from recsys.core.clock import Clock
from recsys.experiments.interleaving import INTERLEAVED, coins_of, draft
from recsys.rollout.names import CANARY, SHADOW, STABLE
from recsys.state.store import UserState

Compute = Callable[[str, Sequence[Routed], Sequence[UserState], Degradation | None], Awaitable[list[Answer]]]
"""Lane, questions, states, and why states could not be read -> answers."""


@dataclass(frozen=True, slots=True)
class OtherHalf:
    """What the other lane makes meanwhile of the questions of a batch that it takes turns in."""

    places: Sequence[int]  # in the batch
    salt: str
    showcase: Showcase
    answers: asyncio.Task[list[Answer]]

    async def join(self, asked: Sequence[Routed], made: list[Answer | None]) -> None:
        """Let both take turns in the lists of ``made``; those of which either half misses something stay."""
        await asyncio.wait([self.answers])
        if self.answers.exception() is not None:  # whatever it is, users of the first arm have their list
            INTERLEAVED_FATES.labels("failed").inc(len(self.places))
            return
        for place, other in zip(self.places, self.answers.result(), strict=True):
            own = made[place]
            if own is None or own.degraded or other.degraded:
                INTERLEAVED_FATES.labels("left_out").inc()
                continue
            made[place] = drafted(asked[place], own, other, self.showcase, salt=self.salt)
            INTERLEAVED_FATES.labels("drafted").inc()

    async def drop(self) -> None:
        """Do without it."""
        self.answers.cancel()
        await asyncio.wait([self.answers])


class Interleaver:
    """Asks the other lane while the first one works.

    Args:
        compute: makes the answers of a lane.
        clock: monotonic seconds.
    """

    def __init__(self, compute: Compute, clock: Clock) -> None:
        self._compute = compute
        self._clock = clock

    def begin(
        self,
        in_force: InForce | None,
        asked: Sequence[Routed],
        states: Sequence[UserState],
        places: Sequence[int],
        unread: Degradation | None,
    ) -> OtherHalf | None:
        """Begin with the questions of a batch whose lists both shall make; None when there are none.

        Args:
            in_force: the document.
            asked: the batch.
            states: of its users.
            places: in the batch, of those who need a list.
            unread: why their states could not be read.
        """
        if in_force is None or (other := in_force.interleaving) is None:
            return None
        chosen = [place for place in places if asked[place].route.arm == INTERLEAVED]
        if not chosen:
            return None
        showcase = in_force.lanes[other.lane]
        route = Route(SHADOW, other.lane, showcase)  # counted as what works unseen is
        questions = [Routed(asked[place].question, route) for place in chosen]
        answers = self._timed(other.lane, questions, [states[place] for place in chosen], unread)
        task = asyncio.get_running_loop().create_task(answers)
        return OtherHalf(chosen, in_force.document.salt, showcase, task)

    async def _timed(
        self,
        lane: str,
        questions: Sequence[Routed],
        states: Sequence[UserState],
        unread: Degradation | None,
    ) -> list[Answer]:
        began_s = self._clock()
        answers = await self._compute(lane, questions, states, unread)
        took_s = self._clock() - began_s
        for _ in answers:
            ARM_SECONDS.labels(SHADOW).observe(took_s)
        return answers


def drafted(routed: Routed, own: Answer, other: Answer, others: Showcase, *, salt: str) -> Answer:
    """Return the list in which both take turns.

    Scores of two rankers cannot be compared: here they only say the order.

    Args:
        routed: the question, and where it went.
        own: answer of the first arm's lane.
        other: answer of the other lane.
        others: the other lane's bundle.
        salt: of the document, for the coins.
    """
    question = routed.question
    found = ({item.item_id: item for item in own.items}, {item.item_id: item for item in other.items})
    turns = draft([*found[0]], [*found[1]], question.top_n, coins_of(question.request_id, salt))
    items = [
        replace(found[team][item_id], position=position, score=1.0 / position)
        for position, (item_id, team) in enumerate(turns, start=1)
    ]
    return replace(
        own,
        items=items,
        cursor=_cursor(question, turns, routed.route.showcase, others),
        teams=tuple(CANARY if team else STABLE for _, team in turns),
    )


def _cursor(
    question: Question, turns: Sequence[tuple[str, bool]], own: Showcase, other: Showcase
) -> str | None:
    shown = [packed([item_id], other if team else own)[0] for item_id, team in turns]
    return cursor_of(question, shown)
