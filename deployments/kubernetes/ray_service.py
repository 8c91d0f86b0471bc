"""Whether KubeRay is done with a RayService: Helm takes it for ready while its old cluster still answers."""

from collections.abc import Mapping
from typing import Any, Final

from kubernetes.client import ApiException, CustomObjectsApi

from deployments.kubernetes.address import ConfigMapAddress
from deployments.kubernetes.connection import TIMEOUT_S, api_client, api_errors
from recsys.core.errors import NotFoundError, UnavailableError

_PART: Final = "RayService"
_NOT_FOUND = 404


def check_settled(address: ConfigMapAddress) -> None:
    """Return when the cluster that was asked for last is the one that answers.

    Raises:
        FieldError: this is no pod with a service account, and there is no kubeconfig that can be used.
        NotFoundError: there is no such RayService.
        UnavailableError: it is not so yet; or the API server cannot be reached, or does not let us.
    """
    api = CustomObjectsApi(api_client())
    where = f"{address.namespace}/{address.name}"
    with api_errors(where):
        try:
            found = api.get_namespaced_custom_object(
                "ray.io", "v1", address.namespace, "rayservices", address.name, _request_timeout=TIMEOUT_S
            )
        except ApiException as error:
            if error.status != _NOT_FOUND:
                raise
            raise NotFoundError(_PART, where) from error
    if (why := unsettled(found)) is not None:
        raise UnavailableError(f"{_PART} {where}", why)


def unsettled(service: Mapping[str, Any]) -> str | None:
    """Return what a RayService still waits for; None when it is as it should be.

    Args:
        service: as the API server has it.
    """
    status = service.get("status") or {}
    conditions = {one["type"]: one for one in status.get("conditions") or ()}
    if status.get("observedGeneration", 0) < service["metadata"].get("generation", 0):
        return "KubeRay has not seen the latest change"
    for name in ("UpgradeInProgress", "RollbackInProgress"):
        if (one := conditions.get(name, {})).get("status") == "True":
            return f"{name}: {one.get('message', '')}".removesuffix(": ")
    ready = conditions.get("Ready", {})
    if ready.get("status") != "True":
        return f"not ready: {ready.get('message', '')}".removesuffix(": ")
    return None
