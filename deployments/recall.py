"""The recall deployment of a lane."""

import time
from collections.abc import Sequence

from deployments.autoscaling.demand import stage_report
from deployments.bundles import holder_for
from deployments.lane import BundleHolder, Following, Holding
from deployments.settings import GraphArgs
from recsys.features.users import UserBatch
from recsys.pipeline.filters import Filters
from recsys.pipeline.stages import RecallStage
from recsys.recall.candidates import Candidates
from recsys.registry.bundle import BundleReader


class Recall:
    """Names candidates for batches of users with the bundle that the caller names."""

    def __init__(self, holder: BundleHolder[RecallStage]) -> None:
        self._holder = holder
        self._served = 0

    async def recall(
        self, bundle: str, users: UserBatch, n: int, filters: Sequence[Filters | None] | None
    ) -> Candidates:
        """Name up to ``n`` candidates for each user.

        Awaits nothing: it is ``async`` so that Serve calls it on the event loop. A plain method gets a thread
        for every call, and calls would only take turns on the lock of the interpreter.

        Raises:
            UnavailableError: that bundle is not loaded here.
        """
        self._served += len(users)
        return self._holder.get(bundle).recall(users, n, filters)

    def holding(self) -> Holding:
        """Say which bundles are loaded here."""
        return self._holder.holding()

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Say what was done here so far. Serve asks on the event loop: it is that thread's time."""
        return stage_report(self._served, busy_s=time.thread_time())


class RecallReplica(Recall):
    """A :class:`Recall` that follows the traffic document; one process of the graph."""

    def __init__(self, args: GraphArgs, lane: str) -> None:
        super().__init__(holder_for(args, lane, _loaded))
        self._following = Following([self._holder], args.poll_s)


def _loaded(reader: BundleReader) -> RecallStage:
    """Return the stage of a bundle, ready to answer the first request as quickly as the next."""
    stage = RecallStage.load(reader)
    stage.warm_up()
    return stage
