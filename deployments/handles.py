"""A lane whose stages are Ray Serve deployments; the only place that knows what Ray raises."""

import asyncio
from collections.abc import Generator, Sequence
from typing import Protocol, TypeVar, cast

import grpc
import numpy as np
from numpy.typing import NDArray
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from deployments.lane import Holding
from deployments.ranking import RankingReplica
from deployments.recall import RecallReplica
from deployments.stages import Started
from recsys.core.errors import UnavailableError
from recsys.features.users import UserBatch
from recsys.pipeline.filters import Filters
from recsys.recall.candidates import Candidates

_HOLDINGS_TIMEOUT_S = 2.0
_PICKLE = "pickle"  # Serve's default, cloudpickle, looks for code to ship in every argument; ours are arrays

Result_co = TypeVar("Result_co", covariant=True)


class _Response(Protocol[Result_co]):
    """What we use of a ``DeploymentResponse``, typed."""

    def __await__(self) -> Generator[object, None, Result_co]: ...

    def cancel(self) -> None: ...


class HandleStages:
    """A :class:`~deployments.stages.LaneStages` on two handles."""

    def __init__(
        self, recall: DeploymentHandle[RecallReplica], ranking: DeploymentHandle[RankingReplica]
    ) -> None:
        self._recall = recall.options(request_serialization=_PICKLE, response_serialization=_PICKLE)
        self._ranking = ranking.options(request_serialization=_PICKLE, response_serialization=_PICKLE)

    def start(
        self,
        bundle: str,
        users: UserBatch,
        n: int,
        filters: Sequence[Filters | None] | None,
        *,
        rank: bool = True,
    ) -> Started:
        """Call both stages: ranking gets the response of recall itself, no code of ours comes between."""
        found = cast("_Response[Candidates]", self._recall.recall.remote(bundle, users, n, filters))
        candidates = asyncio.ensure_future(_result(found, "recall"))
        if not rank:
            return Started(candidates, None)
        scored = cast("_Response[NDArray[np.float32]]", self._ranking.rank.remote(bundle, users, found))
        return Started(candidates, asyncio.ensure_future(_result(scored, "ranking")))

    async def holdings(self) -> list[Holding]:
        """Ask every replica of both stages."""
        try:
            both = await asyncio.gather(
                self._recall.broadcast("holding").results_async(timeout_s=_HOLDINGS_TIMEOUT_S),
                self._ranking.broadcast("holding").results_async(timeout_s=_HOLDINGS_TIMEOUT_S),
            )
        except (RayError, RayServeException, grpc.RpcError, TimeoutError, RuntimeError) as error:
            raise UnavailableError("lane", type(error).__name__) from error
        if not all(both):  # no replica of a stage was there to ask
            raise UnavailableError("lane", "no replica")
        return [holding for stage in both for holding in stage]


async def _result(response: _Response[Result_co], stage: str) -> Result_co:
    """Await a call; whatever goes wrong is the fault of that stage. Giving up cancels the call."""
    try:
        return await response
    except asyncio.CancelledError:
        response.cancel()
        raise
    except UnavailableError as error:  # a replica said so itself: Ray adds its own class to the error's
        raise UnavailableError(stage, str(error.args[-1])) from error
    except (RayError, RayServeException, grpc.RpcError) as error:
        raise UnavailableError(stage, type(error).__name__) from error
