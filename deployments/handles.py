"""A stage as a Ray Serve deployment; the only place that knows what Ray raises."""

import asyncio
from collections.abc import Generator, Sequence
from typing import Any, Protocol, cast

import grpc
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from deployments.lane import Holding
from recsys.core.errors import UnavailableError

_HOLDINGS_TIMEOUT_S = 2.0
_PICKLE = "pickle"  # Serve's default, cloudpickle, looks for code to ship in every argument; ours are arrays


class _Response(Protocol):
    """What we use of a ``DeploymentResponse``, typed."""

    def __await__(self) -> Generator[object, None, object]: ...

    def cancel(self) -> None: ...


class ServeHandle:
    """A :class:`~deployments.wire.stage.StageHandle` on a handle of Ray Serve.

    Args:
        stage: its name, for errors.
        handle: of the deployment.
    """

    def __init__(self, stage: str, handle: DeploymentHandle[Any]) -> None:
        self._stage = stage
        self._handle = handle.options(request_serialization=_PICKLE, response_serialization=_PICKLE)

    async def call(self, method: str, arguments: Sequence[object]) -> object:
        """Call a method of some replica; giving up cancels the call.

        Raises:
            UnavailableError: whatever went wrong; it is the fault of the stage.
        """
        response = cast("_Response", getattr(self._handle, method).remote(*arguments))
        try:
            return await response
        except asyncio.CancelledError:
            response.cancel()
            raise
        except UnavailableError as error:  # a replica said so itself: Ray adds its own class to the error's
            raise UnavailableError(self._stage, str(error.args[-1])) from error
        except (RayError, RayServeException, grpc.RpcError) as error:
            raise UnavailableError(self._stage, type(error).__name__) from error

    async def holdings(self) -> list[Holding]:
        """Ask every replica there is.

        Raises:
            UnavailableError: not all of them answered, or there is none.
        """
        try:
            held = await self._handle.broadcast("holding").results_async(timeout_s=_HOLDINGS_TIMEOUT_S)
        except (RayError, RayServeException, grpc.RpcError, TimeoutError, RuntimeError) as error:
            raise UnavailableError(self._stage, type(error).__name__) from error
        if not held:
            raise UnavailableError(self._stage, "no replica")
        return cast("list[Holding]", held)
