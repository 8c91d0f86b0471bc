"""The ranking deployment of a lane."""

import numpy as np
from numpy.typing import NDArray

from deployments.overlaid import ranking_by
from deployments.settings import GraphArgs
from deployments.stage_replica import StageReplica
from recsys.features.users import UserBatch
from recsys.pipeline.stages import RankingStage
from recsys.recall.candidates import Candidates
from recsys.registry.bundle import BundleReader


class RankingReplica(StageReplica[RankingStage]):
    """Scores candidates of batches of users with the bundle that the caller names."""

    def __init__(self, args: GraphArgs, lane: str) -> None:
        super().__init__(args, "ranking", lane, _loaded, args.ranking, {"rank": self.rank}, ranking_by)

    async def rank(self, bundle: str, users: UserBatch, candidates: Candidates) -> NDArray[np.float32]:
        """Return the score of each candidate, shape (users, candidates), -inf where padded.

        Awaits nothing (but faults on purpose); see :meth:`deployments.recall.RecallReplica.recall`.

        Raises:
            UnavailableError: that bundle is not loaded here.
        """
        self._served += len(users)
        await self._faults.before(bundle)
        return self._faults.scored(bundle, self._holder.get(bundle).rank(users, candidates))


def _loaded(reader: BundleReader) -> RankingStage:
    """Return the stage of a bundle, ready to answer the first request as quickly as the next."""
    stage = RankingStage.load(reader)
    stage.warm_up()
    return stage
