"""The recall deployment of a lane."""

from collections.abc import Sequence

from deployments.overlaid import recall_maker
from deployments.settings import GraphArgs
from deployments.stage_replica import StageReplica
from recsys.features.users import UserBatch
from recsys.pipeline.filters import Filters
from recsys.pipeline.stages import RecallStage
from recsys.recall.candidates import Candidates
from recsys.registry.bundle import BundleReader


class RecallReplica(StageReplica[RecallStage]):
    """Names candidates for batches of users with the bundle that the caller names."""

    def __init__(self, args: GraphArgs, lane: str) -> None:
        methods = {"recall": self.recall}
        overlaid = recall_maker(args.catalogue.share)
        super().__init__(args, "recall", lane, _loaded, args.recall, methods, overlaid)

    async def recall(
        self, bundle: str, users: UserBatch, n: int, filters: Sequence[Filters | None] | None
    ) -> Candidates:
        """Name up to ``n`` candidates for each user.

        Awaits nothing (but faults on purpose): it is ``async`` so that Serve calls it on the event loop. A
        plain method gets a thread for every call, and calls would only take turns on the lock of the
        interpreter.

        Raises:
            UnavailableError: that bundle is not loaded here.
        """
        self._served += len(users)
        await self._faults.before(bundle)
        return self._faults.named(bundle, self._holder.get(bundle).recall(users, n, filters))


def _loaded(reader: BundleReader) -> RecallStage:
    """Return the stage of a bundle, ready to answer the first request as quickly as the next."""
    stage = RecallStage.load(reader)
    stage.warm_up()
    return stage
