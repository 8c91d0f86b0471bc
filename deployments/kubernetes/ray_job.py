"""A RayJob made from a template in a ConfigMap, one at a time under one name, and how it ended."""

from collections.abc import Callable, Mapping
from time import sleep as wait
from typing import Any, Final

import orjson
from kubernetes.client import ApiClient, ApiException, CoreV1Api, CustomObjectsApi

from deployments.kubernetes.address import ConfigMapAddress
from deployments.kubernetes.config_map import ConfigMap
from deployments.kubernetes.connection import TIMEOUT_S, api_errors
from deployments.kubernetes.ownership import LABELS
from recsys.core.clock import Clock, monotonic_clock
from recsys.core.errors import DataFormatError, NotFoundError, UnavailableError

TEMPLATE_KEY: Final = "rayjob.json"
"""Of the template in its ConfigMap."""

_API: Final = ("ray.io", "v1")
_PLURAL: Final = "rayjobs"
_PART: Final = "RayJob"
_NOT_FOUND, _CONFLICT = 404, 409
_ENDED: Final = frozenset({"Complete", "Failed", "ValidationFailed"})
_SUCCEEDED: Final = "SUCCEEDED"


class RayJob:
    """A RayJob of one name: started when none runs, waited for, replaced by the next.

    Args:
        client: of the API server.
        address: its namespace and name.
        clock: monotonic seconds.
        sleep: waits.
        every_s: between two looks.
    """

    def __init__(
        self,
        client: ApiClient,
        address: ConfigMapAddress,
        *,
        clock: Clock = monotonic_clock,
        sleep: Callable[[float], None] = wait,
        every_s: float = 2.0,
    ) -> None:
        self._jobs = CustomObjectsApi(client)
        self._maps = CoreV1Api(client)
        self._address = address
        self._where = f"{address.namespace}/{address.name}"
        self._clock, self._sleep, self._every_s = clock, sleep, every_s

    def start(self, template: ConfigMapAddress) -> None:
        """Make it of a template, whose ConfigMap it goes with; one that has ended makes room.

        Raises:
            ConflictError: somebody else made one at the same moment.
            DataFormatError: the ConfigMap holds no RayJob.
            FieldError: the API server does not take it.
            NotFoundError: there is no such ConfigMap.
            UnavailableError: one runs already; or the API server cannot be reached, or does not let us.
        """
        body = self._body(template)
        if (before := self.read()) is not None:
            if not has_ended(before):
                raise UnavailableError(f"{_PART} {self._where}", "one runs already; only one may at a time")
            self._remove()
        with api_errors(f"{_PART} {self._where}"):
            self._jobs.create_namespaced_custom_object(
                *_API, self._address.namespace, _PLURAL, body, _request_timeout=TIMEOUT_S
            )

    def finish(self, at_most_s: float, *, say: Callable[[str], None] = lambda _: None) -> None:
        """Wait until it has ended well.

        Args:
            at_most_s: how long; the API server may be away meanwhile.
            say: is told how it stands, whenever that changes.

        Raises:
            NotFoundError: somebody has deleted it.
            UnavailableError: it has failed, or has not ended by then; it runs on.
        """
        until_s, told = self._clock() + at_most_s, ""
        while True:
            found, standing = self._look()
            if standing != told:
                told = standing
                say(standing)
            if found is not None and has_ended(found):
                if (why := failure(found)) is not None:
                    raise UnavailableError(f"{_PART} {self._where}", why)
                return
            if self._clock() >= until_s:
                raise UnavailableError(f"{_PART} {self._where}", f"not ended after {at_most_s:g} s: {told}")
            self._sleep(self._every_s)

    def read(self) -> dict[str, Any] | None:
        """Return it as the API server has it; None when there is none.

        Raises:
            UnavailableError: the API server cannot be reached, or does not let us.
        """
        with api_errors(f"{_PART} {self._where}"):
            try:
                found: dict[str, Any] = self._jobs.get_namespaced_custom_object(
                    *_API, self._address.namespace, _PLURAL, self._address.name, _request_timeout=TIMEOUT_S
                )
            except ApiException as error:
                if error.status != _NOT_FOUND:
                    raise
                return None
        return found

    def _look(self) -> tuple[dict[str, Any] | None, str]:
        """Return it and how it stands; None while nobody can tell."""
        try:
            found = self.read()
        except UnavailableError as error:
            return None, str(error)
        if found is None:
            raise NotFoundError(_PART, self._where)
        return found, standing_of(found)

    def _remove(self) -> None:
        """Delete it, with what it made, and wait until its name is free."""
        with api_errors(f"{_PART} {self._where}"):
            try:
                self._jobs.delete_namespaced_custom_object(
                    *_API, self._address.namespace, _PLURAL, self._address.name, _request_timeout=TIMEOUT_S
                )
            except ApiException as error:
                if error.status != _NOT_FOUND:
                    raise
        until_s = self._clock() + 60.0
        while self.read() is not None:
            if self._clock() >= until_s:
                raise UnavailableError(f"{_PART} {self._where}", "the one before it does not go")
            self._sleep(self._every_s)

    def _body(self, template: ConfigMapAddress) -> dict[str, Any]:
        found = ConfigMap(self._maps, template).read()
        if found is None or found.metadata is None:
            raise NotFoundError("ConfigMap", f"{template.namespace}/{template.name}")
        text = (found.data or {}).get(TEMPLATE_KEY, "")
        try:
            body: dict[str, Any] = orjson.loads(text)
            metadata = dict(body["metadata"])
        except (ValueError, KeyError, TypeError) as error:
            raise DataFormatError(
                str(template), f"a RayJob at key {TEMPLATE_KEY}", repr(text[:80])
            ) from error
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": template.name, "uid": found.metadata.uid}
        metadata |= {"name": self._address.name, "ownerReferences": [owner]}
        metadata["labels"] = {**metadata.get("labels", {}), **LABELS}
        return {**body, "metadata": metadata}


def standing_of(job: Mapping[str, Any]) -> str:
    """Return how a RayJob stands, in a few words."""
    status = job.get("status") or {}
    parts = (status.get("jobDeploymentStatus") or "New", status.get("jobStatus"), status.get("message"))
    return ", ".join(" ".join(str(part).split()) for part in parts if part)


def has_ended(job: Mapping[str, Any]) -> bool:
    """Return whether nothing more will come of a RayJob, after its own further attempts."""
    return (job.get("status") or {}).get("jobDeploymentStatus") in _ENDED


def failure(job: Mapping[str, Any]) -> str | None:
    """Return why a RayJob that has ended came to nothing; None when it did what it should."""
    return None if (job.get("status") or {}).get("jobStatus") == _SUCCEEDED else standing_of(job)
