"""From an address to a store of the traffic document."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from deployments.kubernetes.address import SCHEME, ConfigMapAddress
from recsys.core.errors import FieldError
from recsys.core.settings import PATH_TOO, checked_by
from recsys.rollout.traffic_file import FileTrafficStore
from recsys.rollout.traffic_store import TrafficStore

_EXPECTED = f"the path of a file, or {SCHEME}://NAMESPACE/NAME"


def open_traffic_store(address: str | Path, *, owner: Mapping[str, Any] | None = None) -> TrafficStore:
    """Open the store that an address names.

    On Kubernetes a store that is asked for changes listens in the background: open one per process.

    Args:
        address: the path of a file, or ``configmap://NAMESPACE/NAME``.
        owner: reference to the Kubernetes object whose the ConfigMaps are that are made here, as it stands
            in ``metadata.ownerReferences``: they are deleted when it is. None: nobody's.

    Raises:
        FieldError: it is no such address; the client of Kubernetes is not installed; or this is no pod, and
            there is no kubeconfig. The file or the API server may still be away: calls tell.
    """
    text = check_address(str(address))
    if not text.startswith(f"{SCHEME}:"):
        return FileTrafficStore(Path(text))
    try:
        from deployments.kubernetes import config_map_store  # noqa: PLC0415 - an extra: only who asks needs it
    except ModuleNotFoundError as error:
        raise FieldError(
            "traffic", text, "the client of Kubernetes: pip install 'marquee-recsys[kubernetes]'"
        ) from error
    return config_map_store.open_config_map(ConfigMapAddress.parse(text), owner=owner)


def check_address(text: str) -> str:
    """Return an address if it can be opened.

    Raises:
        FieldError: nobody could.
    """
    scheme = text.partition(":")[0]
    if scheme == SCHEME:
        ConfigMapAddress.parse(text)
    elif not text or "://" in text:
        raise FieldError("traffic", repr(text[:80]) if text else "nothing", _EXPECTED)
    return text


TrafficAddress = Annotated[str, PATH_TOO, checked_by(check_address)]
"""Of a traffic document, in settings; a path is fine too."""
