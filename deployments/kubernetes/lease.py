"""Which of several processes leads: a Lease that one of them holds.

The client's own ``kubernetes.leaderelection`` knows neither how to stop nor how to hand over, waits in loops
of its own and takes the time from the wall. It need not be exact here: two who lead do no harm, for whoever
writes the traffic document second finds that it has changed.
"""

import logging
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

from kubernetes.client import (
    ApiException,
    CoordinationV1Api,
    V1Lease,
    V1LeaseSpec,
    V1ObjectMeta,
    V1OwnerReference,
)

from deployments.kubernetes.address import ConfigMapAddress
from deployments.kubernetes.connection import TIMEOUT_S, api_errors
from deployments.kubernetes.ownership import LABELS, Owner
from recsys.core.clock import Clock, monotonic_clock, unix_clock
from recsys.core.errors import ConflictError, RecsysError

_log = logging.getLogger(__name__)

_NOT_FOUND: Final = 404
_RENEWALS: Final = 3
"""In the time for which it lasts: two may fail."""


class Lease:
    """A Lease of ``coordination.k8s.io/v1``; leaving the block releases it.

    How long another holder is silent is measured by this machine's own clock, since it last saw the Lease
    change: clocks of two machines are never compared.

    Args:
        api: the client.
        address: namespace and name of the Lease.
        holder: this process, unlike any other.
        owner: whose it is when it is made here; None: nobody's.
        lasts_s: so long after the last renewal somebody else may take it; whole seconds.
        clock: Unix time, for people who read it.
        elapsed: monotonic seconds.
    """

    def __init__(
        self,
        api: CoordinationV1Api,
        address: ConfigMapAddress,
        *,
        holder: str,
        owner: Owner | None = None,
        lasts_s: int = 15,
        clock: Clock = unix_clock,
        elapsed: Clock = monotonic_clock,
    ) -> None:
        self._api = api
        self._address = address
        self._what = f"lease {address.namespace}/{address.name}"
        self._holder = holder
        self._owner = owner
        self._lasts_s = lasts_s
        self._clock = clock
        self._elapsed = elapsed
        self._renewed_s: float | None = None  # by this process
        self._seen: tuple[str | None, float] = (None, 0.0)  # another's latest version, and since when

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.release()
        except RecsysError as failed:
            _log.warning("the lease runs out by itself: %s", failed)

    def held(self) -> bool:
        """Return whether this process leads; takes the Lease if it is free, renews it if it is time to.

        Raises:
            UnavailableError: the API server cannot be reached, or does not let us.
        """
        now_s = self._elapsed()
        if self._renewed_s is not None and now_s - self._renewed_s < self._lasts_s / _RENEWALS:
            return True
        self._renewed_s = now_s if self._took() else None
        return self._renewed_s is not None

    def release(self) -> None:
        """Let somebody else take it at once, if it is ours.

        Raises:
            UnavailableError: the API server cannot be reached; it runs out by itself.
        """
        if self._renewed_s is None:
            return
        self._renewed_s = None
        found = self._read()
        if found is not None and found.spec is not None and found.spec.holder_identity == self._holder:
            self._replaced(found, V1LeaseSpec(lease_transitions=found.spec.lease_transitions))

    def _took(self) -> bool:
        found = self._read()
        if found is None:
            return self._created()
        spec = found.spec or V1LeaseSpec()
        if spec.holder_identity == self._holder:
            return self._replaced(found, self._spec(spec.acquire_time, spec.lease_transitions or 0))
        if spec.holder_identity and not self._ran_out(found, spec):
            return False
        return self._replaced(found, self._spec(None, (spec.lease_transitions or 0) + 1))

    def _ran_out(self, found: V1Lease, spec: V1LeaseSpec) -> bool:
        version = found.metadata.resource_version if found.metadata is not None else None
        now_s = self._elapsed()
        if version != self._seen[0]:
            self._seen = version, now_s
        return now_s - self._seen[1] >= (spec.lease_duration_seconds or self._lasts_s)

    def _spec(self, since: datetime | None, n_transitions: int) -> V1LeaseSpec:
        now = _in_microseconds(self._clock())
        return V1LeaseSpec(
            holder_identity=self._holder,
            lease_duration_seconds=self._lasts_s,
            acquire_time=now if since is None else _in_microseconds(since.timestamp()),
            renew_time=now,
            lease_transitions=n_transitions,
        )

    def _read(self) -> V1Lease | None:
        with api_errors(self._what):
            try:
                return self._api.read_namespaced_lease(
                    self._address.name, self._address.namespace, _request_timeout=TIMEOUT_S
                )
            except ApiException as error:
                if error.status != _NOT_FOUND:
                    raise
                return None

    def _created(self) -> bool:
        owners = None if self._owner is None else [V1OwnerReference(**dict(self._owner))]
        metadata = V1ObjectMeta(name=self._address.name, labels=dict(LABELS), owner_references=owners)
        body = V1Lease(metadata=metadata, spec=self._spec(None, 0))
        try:
            with api_errors(self._what):
                self._api.create_namespaced_lease(self._address.namespace, body, _request_timeout=TIMEOUT_S)
        except ConflictError:
            return False
        return True

    def _replaced(self, found: V1Lease, spec: V1LeaseSpec) -> bool:
        body = V1Lease(metadata=found.metadata, spec=spec)
        try:
            with api_errors(self._what):
                self._api.replace_namespaced_lease(
                    self._address.name, self._address.namespace, body, _request_timeout=TIMEOUT_S
                )
        except ConflictError:
            return False
        return True


def _in_microseconds(at_s: float) -> datetime:
    """Return a time whose text has six digits behind the second: the API server takes no other."""
    at = datetime.fromtimestamp(at_s, UTC)
    return at.replace(microsecond=at.microsecond or 1)
