"""A lane whose stages are called by wire."""

import asyncio
from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from deployments.lane import Holding
from deployments.stages import Started
from deployments.wire.frames import Packed, packed, unpacked
from deployments.wire.stage import Stage
from recsys.features.users import UserBatch
from recsys.pipeline.filters import Filters
from recsys.recall.candidates import Candidates


class WiredStages:
    """A :class:`~deployments.stages.LaneStages` over two stages.

    The users are packed once for both, and the candidates go on to ranking as they came from recall.
    """

    def __init__(self, recall: Stage, ranking: Stage) -> None:
        self._recall = recall
        self._ranking = ranking

    def start(
        self,
        bundle: str,
        users: UserBatch,
        n: int,
        filters: Sequence[Filters | None] | None,
        *,
        rank: bool = True,
    ) -> Started:
        """Call recall; with what it names, ranking."""
        asked = [packed(bundle), packed(users)]
        found = asyncio.ensure_future(self._recall.call("recall", [*asked, packed(n), packed(filters)]))
        scores = asyncio.ensure_future(self._rank(asked, found)) if rank else None  # before we look at them
        return Started(asyncio.ensure_future(_candidates(found)), scores)

    async def holdings(self) -> list[Holding]:
        """Ask every replica of both stages.

        Raises:
            UnavailableError: not all of them answered.
        """
        recall, ranking = await asyncio.gather(self._recall.holdings(), self._ranking.holdings())
        return [*recall, *ranking]

    async def _rank(self, asked: list[bytes], found: asyncio.Future[Packed]) -> NDArray[np.float32]:
        scores = await self._ranking.call("rank", [*asked, await found])
        return cast("NDArray[np.float32]", unpacked(scores))


async def _candidates(found: asyncio.Future[Packed]) -> Candidates:
    return cast("Candidates", unpacked(await found))
