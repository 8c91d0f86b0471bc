"""The way to the API server, and what its errors are called here."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
from kubernetes.client import ApiClient, ApiException, Configuration, CoreV1Api
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config
from urllib3.exceptions import HTTPError

from recsys.core.errors import ConflictError, FieldError, UnavailableError

TIMEOUT_S = (3.0, 10.0)
"""To connect, and between two parts of an answer."""

_DEAD_AFTER_MS = 10_000
_KEEP_ALIVE = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 4),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_AFTER_MS),
]
"""A server that is gone without a word is noticed within ten seconds: nothing else would tell a watch."""

_OVER_THE_LIMIT = (413, 422)
_NOT_ALLOWED = (401, 403)
_UNREACHABLE = "the API server cannot be reached"


def core_api() -> CoreV1Api:
    """Return what speaks to the API server about ConfigMaps and the like; raises as :func:`way_in`."""
    return CoreV1Api(api_client())


def api_client() -> ApiClient:
    """Return a client of the API server, which several threads may use; raises as :func:`way_in`."""
    return ApiClient(way_in())


def way_in() -> Configuration:
    """Return where the API server is and who we are: the pod's service account, else as KUBECONFIG says.

    Raises:
        FieldError: this is no pod with a service account, and there is no kubeconfig that can be used.
    """
    configuration = Configuration()
    configuration.socket_options = _KEEP_ALIVE  # type: ignore[attr-defined]  # missing in the stubs
    configuration.retries = False  # who asks knows best whether to ask again
    try:
        load_incluster_config(client_configuration=configuration)
    except ConfigException:
        _load_kubeconfig(configuration)
    return configuration


def _load_kubeconfig(configuration: Configuration) -> None:
    try:
        load_kube_config(client_configuration=configuration)
    except (ConfigException, OSError, ValueError) as error:
        raise FieldError(
            "KUBECONFIG",
            str(error).strip() or type(error).__name__,
            "a pod with a service account, or the path of a kubeconfig",
        ) from error


@contextmanager
def api_errors(what: str) -> Iterator[None]:
    """Turn the client's errors into ours; ``what`` is asked for, like ``configmap://shop/traffic``.

    A 404 has a meaning of its own at each place: catch it inside the block where it has one.

    Raises:
        ConflictError: 409, somebody else changed or made it first.
        FieldError: the server refuses what was written, for example because it is too long.
        UnavailableError: it cannot be reached, or does not let us.
    """
    try:
        yield
    except ApiException as error:
        if error.status == 409:
            raise ConflictError(what, "what was read", "something newer") from error
        if error.status in _OVER_THE_LIMIT:
            raise FieldError(what, _said(error), "what the API server takes") from error
        if not error.status:  # of TLS
            raise UnavailableError(what, f"{_UNREACHABLE}: {_message(error)}") from error
        raise UnavailableError(what, _said(error)) from error
    except (HTTPError, OSError) as error:
        raise UnavailableError(what, f"{_UNREACHABLE}: {error}") from error
    except AttributeError as error:
        if not isinstance(error.__context__, ApiException):
            raise
        # The client up to version 36 stumbles over errors of TLS, which have no body.
        raise UnavailableError(what, f"{_UNREACHABLE}: {_message(error.__context__)}") from error


def _said(error: ApiException) -> str:
    """Return what the server said, in one line."""
    more = "; see the Role of the service account" if error.status in _NOT_ALLOWED else ""
    return f"the API server answers {error.status}: {_message(error)}{more}"


def _message(error: ApiException) -> str:
    try:
        return str(orjson.loads(error.body or "")["message"])
    except (ValueError, LookupError, TypeError):  # a proxy in between, a watch
        return " ".join(str(error.reason or error.body).split())
