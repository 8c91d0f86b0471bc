"""One ConfigMap: read, made, and replaced whole by who has seen the latest of it."""

from kubernetes.client import (
    ApiException,
    CoreV1Api,
    V1ConfigMap,
    V1ObjectMeta,
    V1OwnerReference,
)

from deployments.kubernetes.address import ConfigMapAddress
from deployments.kubernetes.connection import TIMEOUT_S, api_errors
from deployments.kubernetes.ownership import LABELS, Owner
from recsys.core.errors import ConflictError, NotFoundError

_WRITER = "marquee"
_NOT_FOUND = 404


class ConfigMap:
    """A ConfigMap that may not exist yet.

    Args:
        api: the client.
        address: of the ConfigMap.
        owner: whose it is when it is made here; None: nobody's.
    """

    def __init__(self, api: CoreV1Api, address: ConfigMapAddress, *, owner: Owner | None = None) -> None:
        self._api = api
        self.address = address
        self._owner = owner

    def read(self) -> V1ConfigMap | None:
        """Return it as it is now; None when there is none.

        Raises:
            UnavailableError: the API server cannot be reached, or does not let us.
        """
        with api_errors(str(self.address)):
            try:
                return self._api.read_namespaced_config_map(
                    self.address.name, self.address.namespace, _request_timeout=TIMEOUT_S
                )
            except ApiException as error:
                if error.status != _NOT_FOUND:
                    raise
                return None

    def write(
        self,
        found: V1ConfigMap | None,
        *,
        data: dict[str, str] | None = None,
        binary_data: dict[str, str] | None = None,
    ) -> None:
        """Replace what is in the one that :meth:`read` found, or make it when there was none.

        Raises:
            ConflictError: it has been changed, made or deleted since.
            FieldError: the API server does not take it.
            NotFoundError: there is no such namespace.
            UnavailableError: the API server cannot be reached, or does not let us.
        """
        metadata = found.metadata if found is not None else self._metadata()
        body = V1ConfigMap(metadata=metadata, data=data, binary_data=binary_data)
        with api_errors(str(self.address)):
            try:
                if found is None:
                    self._create(body)
                else:
                    self._replace(body)
            except ApiException as error:
                if error.status != _NOT_FOUND:
                    raise
                if found is None:
                    raise NotFoundError("namespace", self.address.namespace) from error
                raise ConflictError(str(self.address), "what was read", "nothing") from error

    def _create(self, body: V1ConfigMap) -> None:
        self._api.create_namespaced_config_map(
            self.address.namespace, body, field_manager=_WRITER, _request_timeout=TIMEOUT_S
        )

    def _replace(self, body: V1ConfigMap) -> None:
        """Replace the one whose ``resourceVersion`` is in ``body``; the server refuses any other."""
        self._api.replace_namespaced_config_map(
            self.address.name,
            self.address.namespace,
            body,
            field_manager=_WRITER,
            _request_timeout=TIMEOUT_S,
        )

    def _metadata(self) -> V1ObjectMeta:
        owners = None if self._owner is None else [V1OwnerReference(**dict(self._owner))]
        return V1ObjectMeta(
            name=self.address.name,
            namespace=self.address.namespace,
            labels=dict(LABELS),
            owner_references=owners,
        )
