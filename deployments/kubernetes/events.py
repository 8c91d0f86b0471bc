"""Kubernetes Events: what ``kubectl describe`` and ``kubectl get events`` show."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from kubernetes.client import (
    CoreV1Api,
    CoreV1Event,
    V1EventSource,
    V1ObjectMeta,
    V1ObjectReference,
)

from deployments.kubernetes.connection import TIMEOUT_S, api_errors
from recsys.core.clock import Clock
from recsys.core.errors import ConflictError
from recsys.core.hashing import digest_bytes

_LONGEST_MESSAGE: Final = 1_024
_LONGEST_NAME: Final = 200


class Kind(StrEnum):
    """How loud it is."""

    NORMAL = "Normal"
    WARNING = "Warning"


class Events:
    """Writes Events about one object.

    An Event is named after what it says, so whoever says it again, after a crash or beside another, finds
    it there. The API server forgets Events after an hour.

    Args:
        api: the client.
        clock: Unix time.
        component: who says it.
    """

    def __init__(self, api: CoreV1Api, *, clock: Clock, component: str = "marquee-rollout") -> None:
        self._api = api
        self._clock = clock
        self._component = component

    def say(
        self, about: V1ObjectReference, kind: Kind, reason: str, message: str, *, once_for: str = ""
    ) -> None:
        """Write an Event, unless the same is there already.

        Args:
            about: the object, with its namespace and name.
            kind: how loud.
            reason: one word in CamelCase.
            message: a sentence; what is longer than the API server takes is cut.
            once_for: tells two apart that read alike.

        Raises:
            UnavailableError: the API server cannot be reached, or does not let us.
        """
        digest = digest_bytes("\n".join((kind, reason, message, once_for)).encode())[:16]
        name = f"{(about.name or '')[:_LONGEST_NAME]}.{digest}"
        now = datetime.fromtimestamp(self._clock(), UTC)
        event = CoreV1Event(
            metadata=V1ObjectMeta(name=name, namespace=about.namespace),
            involved_object=about,
            type=kind,
            reason=reason,
            message=message[:_LONGEST_MESSAGE],
            source=V1EventSource(component=self._component),
            first_timestamp=now,
            last_timestamp=now,
            count=1,
        )
        try:
            with api_errors(f"events in {about.namespace}"):
                self._api.create_namespaced_event(about.namespace or "", event, _request_timeout=TIMEOUT_S)
        except ConflictError:
            return  # it was said
