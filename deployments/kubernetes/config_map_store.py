"""The traffic document in a ConfigMap, its predecessors in another beside it."""

from collections.abc import Mapping
from random import Random
from typing import Any, Final, Self

from kubernetes.client import CoreV1Api, V1ConfigMap
from pydantic import ValidationError

from deployments.kubernetes.address import ConfigMapAddress
from deployments.kubernetes.config_map import ConfigMap
from deployments.kubernetes.connection import core_api
from deployments.kubernetes.history import PackedHistory
from deployments.kubernetes.ownership import Owner
from deployments.kubernetes.watch import ConfigMapWatch
from recsys.core.clock import Clock, monotonic_clock
from recsys.core.errors import ConflictError, DataFormatError, FieldError, NotFoundError
from recsys.rollout.traffic import TrafficDocument
from recsys.rollout.traffic_text import from_text, newer_than, to_text

KEY: Final = "traffic.json"
"""Of the document in the ConfigMap."""


class ConfigMapTrafficStore:
    """A :class:`~recsys.rollout.traffic_store.TrafficStore` for the pods of a cluster.

    A ConfigMap without any data counts as none: one may be made in advance, so that nobody who writes needs
    the right to make any.

    Args:
        api: the client.
        address: of the ConfigMap.
        owner: whose the ConfigMaps are that are made here; None: nobody's.
        n_history: how many predecessors are kept at most.
        clock: monotonic seconds.
        chance: spreads the attempts of many processes to get through again.
        patience_s: the first :meth:`changed_since` waits so long for a first answer; later ones never wait.
        silence_s: cut off for so long, :meth:`changed_since` says so.
    """

    def __init__(
        self,
        api: CoreV1Api,
        address: ConfigMapAddress,
        *,
        owner: Owner | None = None,
        n_history: int = 100,
        clock: Clock = monotonic_clock,
        chance: Random | None = None,
        patience_s: float = 5.0,
        silence_s: float = 30.0,
    ) -> None:
        self._where = str(address)
        self._config_map = ConfigMap(api, address, owner=owner)
        self._history = PackedHistory(ConfigMap(api, address.history, owner=owner), n_kept=n_history)
        self._watch = ConfigMapWatch(
            api,
            address,
            clock=clock,
            chance=chance or Random(),
            patience_s=patience_s,
            silence_s=silence_s,
        )
        self._known: tuple[V1ConfigMap, TrafficDocument] | None = None  # last parsed, and the document in it

    def read(self) -> TrafficDocument:
        """Ask the API server for the document as it is now.

        Raises:
            NotFoundError: there is none yet.
            DataFormatError: what is there is no usable traffic document.
            UnavailableError: the API server cannot be reached, or does not let us.
        """
        document = self._document_in(self._config_map.read())
        if document is None:
            raise NotFoundError("traffic document", self._where)
        return document

    def changed_since(self, version: int) -> TrafficDocument | None:
        """Return the document if it is newer than ``version``, else None; from memory, kept fresh by a watch.

        Raises:
            NotFoundError: there is none.
            DataFormatError: it is no usable document, or an older one than ``version``.
            UnavailableError: nothing was heard from the API server yet, or for long.
        """
        seen = self._watch.latest()
        known = self._known
        if known is not None and known[0] is seen:
            return newer_than(version, known[1], self._where)
        document = self._document_in(seen)
        if seen is None or document is None:
            raise NotFoundError("traffic document", self._where)
        self._known = (seen, document)
        return newer_than(version, document, self._where)

    def swap(self, new: TrafficDocument, *, expected_version: int) -> None:
        """Replace the document of ``expected_version`` (0: there is none) by the next one.

        The predecessor is remembered first. Who is killed in between leaves one in the history that is still
        in force, which the next swap finds there already.

        Raises:
            ConflictError: there is another version by now.
            FieldError: ``new`` is not version ``expected_version + 1``, or too long for a ConfigMap.
            DataFormatError: what is there is no usable document; put one back from the history.
            NotFoundError: there is no such namespace.
            UnavailableError: the API server cannot be reached, or does not let us.
        """
        if new.version != expected_version + 1:
            raise FieldError("traffic.version", str(new.version), str(expected_version + 1))
        found = self._config_map.read()
        document = self._document_in(found)
        if (found_version := document.version if document else 0) != expected_version:
            raise ConflictError("traffic", f"version {expected_version}", f"version {found_version}")
        if document is not None:
            self._history.remember(document)
        self._config_map.write(found, data={KEY: to_text(new)})

    def history(self) -> list[TrafficDocument]:
        """Return the latest documents, the one in force last.

        Raises:
            DataFormatError: a document, or a packed one, is not usable.
            UnavailableError: the API server cannot be reached, or does not let us.
        """
        now = self._document_in(self._config_map.read())
        if now is None:
            return []
        return [past for past in self._history.all() if past.version < now.version] + [now]

    def close(self) -> None:
        """Stop the watch."""
        self._watch.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _document_in(self, found: V1ConfigMap | None) -> TrafficDocument | None:
        if found is None or not (found.data or found.binary_data):
            return None
        if found.data is None or KEY not in found.data:
            keys = ", ".join(sorted({**(found.data or {}), **(found.binary_data or {})}))
            raise DataFormatError(self._where, f"key {KEY}", keys)
        return from_text(f"{self._where} {KEY}", found.data[KEY])


def open_config_map(
    address: ConfigMapAddress, *, owner: Mapping[str, Any] | None = None
) -> ConfigMapTrafficStore:
    """Open a store with the credentials that are at hand.

    Raises:
        FieldError: there are none, or ``owner`` is no reference to an owner.
    """
    try:
        whose = None if owner is None else Owner.model_validate(owner)
    except ValidationError as error:
        raise FieldError("owner", str(owner)[:200], "apiVersion, kind, name and uid of an object") from error
    return ConfigMapTrafficStore(core_api(), address, owner=whose)
