"""The ranking deployment of a lane."""

import time

import numpy as np
from numpy.typing import NDArray

from deployments.autoscaling.demand import stage_report
from deployments.bundles import holder_for
from deployments.lane import BundleHolder, Following, Holding
from deployments.settings import GraphArgs
from recsys.features.users import UserBatch
from recsys.pipeline.stages import RankingStage
from recsys.recall.candidates import Candidates
from recsys.registry.bundle import BundleReader


class Ranking:
    """Scores candidates of batches of users with the bundle that the caller names."""

    def __init__(self, holder: BundleHolder[RankingStage]) -> None:
        self._holder = holder
        self._served = 0

    async def rank(self, bundle: str, users: UserBatch, candidates: Candidates) -> NDArray[np.float32]:
        """Return the score of each candidate, shape (users, candidates), -inf where padded.

        Awaits nothing; see :meth:`deployments.recall.Recall.recall`.

        Raises:
            UnavailableError: that bundle is not loaded here.
        """
        self._served += len(users)
        return self._holder.get(bundle).rank(users, candidates)

    def holding(self) -> Holding:
        """Say which bundles are loaded here."""
        return self._holder.holding()

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Say what was done here so far. Serve asks on the event loop: it is that thread's time."""
        return stage_report(self._served, busy_s=time.thread_time())


class RankingReplica(Ranking):
    """A :class:`Ranking` that follows the traffic document; one process of the graph."""

    def __init__(self, args: GraphArgs, lane: str) -> None:
        super().__init__(holder_for(args, lane, _loaded))
        self._following = Following([self._holder], args.poll_s)


def _loaded(reader: BundleReader) -> RankingStage:
    """Return the stage of a bundle, ready to answer the first request as quickly as the next."""
    stage = RankingStage.load(reader)
    stage.warm_up()
    return stage
