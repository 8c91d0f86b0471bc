"""What the router knows of a lane: two stages that may fail or be late, and what their replicas hold."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deployments.lane import Holding
from recsys.features.users import UserBatch
from recsys.pipeline.filters import Filters
from recsys.recall.candidates import Candidates


@dataclass(frozen=True, slots=True)
class Started:
    """Two calls on their way. Awaiting either raises UnavailableError when its part is down."""

    candidates: asyncio.Future[Candidates]
    scores: asyncio.Future[NDArray[np.float32]] | None  # None: ranking was not asked

    def drop_scores(self) -> None:
        """Stop waiting for the scores, and for whatever went wrong with them."""
        if self.scores is not None:
            self.scores.add_done_callback(lambda scores: scores.cancelled() or scores.exception())
            self.scores.cancel()


class LaneStages(Protocol):
    """Recall and ranking of one lane, wherever they run."""

    def start(
        self,
        bundle: str,
        users: UserBatch,
        n: int,
        filters: Sequence[Filters | None] | None,
        *,
        rank: bool = True,
    ) -> Started:
        """Call recall for a whole batch; its result goes straight on to ranking.

        Args:
            bundle: by name; a replica that has not loaded it says so.
            users: who asks.
            n: candidates per user.
            filters: one per user, or None for none at all.
            rank: False leaves ranking out.
        """
        ...

    async def holdings(self) -> list[Holding]:
        """Return what every replica of both stages holds.

        Raises:
            UnavailableError: not all of them answered.
        """
        ...
