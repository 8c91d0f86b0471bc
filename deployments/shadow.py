"""The lane that works unseen: it is asked what the answering lane was asked, and nobody waits for it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from deployments.metrics import ARM_SECONDS, SHADOW_FATES, SHADOW_OVERLAP
from deployments.question import Answer
from deployments.traffic import InForce, Route, Routed
from recsys.core.clock import Clock
from recsys.core.errors import RecsysError
from recsys.experiments.assignment import bucket
from recsys.rollout.names import SHADOW
from recsys.state.store import UserState

_MOST_UNDER_WAY = 2  # batches; what comes while so many are there is left out and counted

Compute = Callable[[str, Sequence[Routed], Sequence[UserState]], Awaitable[list[Answer]]]
"""Lane, questions and states -> answers."""


class ShadowCaster:
    """Sends a share of the requests to the lane that works unseen, once their answers are made.

    Args:
        compute: makes the answers of a lane.
        clock: monotonic seconds.
    """

    def __init__(self, compute: Compute, clock: Clock) -> None:
        self._compute = compute
        self._clock = clock
        self._under_way: set[asyncio.Task[None]] = set()

    def cast(
        self,
        in_force: InForce,
        asked: Sequence[Routed],
        states: Sequence[UserState],
        answers: Sequence[Answer],
    ) -> None:
        """Begin, when the document in force wants it; returns at once."""
        shadow = in_force.shadow
        if shadow is None:
            return
        salt = in_force.document.salt
        chosen = [
            (one, state, answer)
            for one, state, answer in zip(asked, states, answers, strict=True)
            if one.route.lane != shadow.lane
            and not one.route.override
            and bucket(one.question.request_id, SHADOW, salt=salt) < shadow.share
        ]
        if not chosen:
            return
        if len(self._under_way) >= _MOST_UNDER_WAY:
            SHADOW_FATES.labels("left_out").inc(len(chosen))
            return
        showcase = in_force.lanes[shadow.lane]
        unseen = [Routed(one.question, Route(SHADOW, shadow.lane, showcase)) for one, _, _ in chosen]
        task = asyncio.get_running_loop().create_task(
            self._run(shadow.lane, unseen, [state for _, state, _ in chosen], [seen for _, _, seen in chosen])
        )
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _run(
        self,
        lane: str,
        unseen: Sequence[Routed],
        states: Sequence[UserState],
        answers: Sequence[Answer],
    ) -> None:
        began_s = self._clock()
        try:
            shadows = await self._compute(lane, unseen, states)
        except RecsysError:
            SHADOW_FATES.labels("failed").inc(len(unseen))
            return
        took_s = self._clock() - began_s
        for answer, shadow in zip(answers, shadows, strict=True):
            ARM_SECONDS.labels(SHADOW).observe(took_s)
            SHADOW_OVERLAP.observe(overlap(answer, shadow))
        SHADOW_FATES.labels("compared").inc(len(shadows))


def overlap(answer: Answer, shadow: Answer) -> float:
    """Return which share of an answer's items is in the shadow's list too, in [0, 1]; 1 of nothing."""
    shown = {item.item_id for item in answer.items}
    return len(shown & {item.item_id for item in shadow.items}) / len(shown) if shown else 1.0
