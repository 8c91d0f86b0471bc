"""Whose the ConfigMaps are that this program makes, so that ``helm uninstall`` takes them along."""

from typing import Final

from kubernetes.client import ApiException, AppsV1Api
from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from deployments.kubernetes.connection import TIMEOUT_S, api_errors
from recsys.core.errors import NotFoundError
from recsys.core.settings import FrozenModel

LABELS: Final = {"app.kubernetes.io/managed-by": "marquee"}
"""On everything that this program makes."""

_NOT_FOUND = 404


class Owner(FrozenModel):
    """An object of the same namespace; when it is deleted, Kubernetes deletes what it owns."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)

    api_version: str = Field(min_length=1)
    """For example ``apps/v1``."""
    kind: str = Field(min_length=1)
    """For example ``Deployment``."""
    name: str = Field(min_length=1)
    """Of the object."""
    uid: str = Field(min_length=1)
    """Of the object; another one of the same name has another."""


def owning_deployment(api: AppsV1Api, namespace: str, name: str) -> Owner:
    """Return a Deployment as an owner, for example the controller's own.

    Raises:
        NotFoundError: there is no such Deployment.
        UnavailableError: the API server cannot be reached, or does not let us.
    """
    with api_errors(f"deployment {namespace}/{name}"):
        try:
            found = api.read_namespaced_deployment(name, namespace, _request_timeout=TIMEOUT_S)
        except ApiException as error:
            if error.status != _NOT_FOUND:
                raise
            raise NotFoundError("deployment", f"{namespace}/{name}") from error
    uid = found.metadata.uid if found.metadata is not None else None
    return Owner(api_version="apps/v1", kind="Deployment", name=name, uid=uid or "")
