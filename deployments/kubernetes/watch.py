"""A ConfigMap as it was last heard of: one thread listens, everybody else reads from memory."""

import logging
import threading
from random import Random
from typing import Self

from kubernetes.client import CoreV1Api, V1ConfigMap
from kubernetes.watch import Watch

from deployments.kubernetes.address import ConfigMapAddress
from deployments.kubernetes.connection import TIMEOUT_S, api_errors
from recsys.core.clock import Clock
from recsys.core.errors import RecsysError, UnavailableError

_log = logging.getLogger(__name__)

_LISTEN_S = 20
_SILENT_AT_MOST_S = _LISTEN_S + 5.0  # the server hangs up before: who hears nothing so long is cut off
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0


class ConfigMapWatch:
    """Listens to one ConfigMap from the first question on, until closed.

    Args:
        api: the client.
        address: of the ConfigMap; it need not exist.
        clock: monotonic seconds.
        chance: spreads the attempts of many processes to get through again.
        patience_s: the first question waits so long for a first answer; later ones never wait.
        silence_s: cut off for so long, it is said that nothing is known.
    """

    def __init__(
        self,
        api: CoreV1Api,
        address: ConfigMapAddress,
        *,
        clock: Clock,
        chance: Random,
        patience_s: float = 5.0,
        silence_s: float = 30.0,
    ) -> None:
        self._api = api
        self._address = address
        self._clock = clock
        self._chance = chance
        self._patience_s = patience_s
        self._silence_s = silence_s
        self._seen: V1ConfigMap | None = None
        self._lost_s: float | None = None  # since when it is cut off
        self._why = "nothing heard yet"
        self._heard = threading.Event()
        self._stopped = threading.Event()
        self._starting = threading.Lock()
        self._watch = Watch()
        self._thread: threading.Thread | None = None

    def latest(self) -> V1ConfigMap | None:
        """Return the ConfigMap as last heard of; None when there is none.

        Raises:
            UnavailableError: nothing was heard yet, or it has been cut off for long.
        """
        if self._started():
            self._heard.wait(self._patience_s)
        lost_s = self._lost_s
        if not self._heard.is_set():
            raise UnavailableError(str(self._address), self._why)
        if lost_s is not None and (silent_s := self._clock() - lost_s) > self._silence_s:
            raise UnavailableError(str(self._address), f"not heard of for {silent_s:.0f} s: {self._why}")
        return self._seen

    def close(self) -> None:
        """Stop listening; what was heard last stays."""
        self._stopped.set()
        while self._thread is not None and self._thread.is_alive():
            self._watch.stop()  # type: ignore[attr-defined]  # again: it forgets what it heard between two streams
            self._thread.join(0.1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _started(self) -> bool:
        """Start the thread; True when it was this call that did."""
        with self._starting:
            if self._thread is not None:
                return False
            self._thread = threading.Thread(target=self._run, name=f"watch {self._address}", daemon=True)
            self._thread.start()
            return True

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stopped.is_set():
            began_s = self._clock()
            try:
                self._listen()
            except _TROUBLE as error:
                if not self._stopped.is_set():
                    self._lose(error)
            went_well = self._clock() - began_s > _LONGEST_PAUSE_S
            pause_s = _FIRST_PAUSE_S if went_well else min(_LONGEST_PAUSE_S, 2 * pause_s)
            self._stopped.wait(pause_s * self._chance.uniform(0.5, 1.0))

    def _lose(self, error: Exception) -> None:
        self._why = str(error.args[1]) if isinstance(error, UnavailableError) else str(error)
        if self._lost_s is None:
            self._lost_s = self._clock()
            _log.warning("nothing is heard of %s: %s", self._address, self._why)

    def _listen(self) -> None:
        """Look, then listen until the server hangs up: what happens in between is not lost.

        It always looks first, so a version that the server has forgotten (410) needs nothing special.
        """
        only = f"metadata.name={self._address.name}"
        with api_errors(str(self._address)):
            found = self._api.list_namespaced_config_map(
                self._address.namespace, field_selector=only, _request_timeout=TIMEOUT_S
            )
            self._hear(found.items[0] if found.items else None)
            events = self._watch.stream(
                self._api.list_namespaced_config_map,
                self._address.namespace,
                field_selector=only,
                resource_version=found.metadata.resource_version if found.metadata is not None else None,
                timeout_seconds=_LISTEN_S,
                _request_timeout=(TIMEOUT_S[0], _SILENT_AT_MOST_S),
            )
            for event in events:
                if event is not None and event["type"] != "BOOKMARK":
                    self._hear(None if event["type"] == "DELETED" else event["object"])

    def _hear(self, found: V1ConfigMap | None) -> None:
        self._seen = found
        self._lost_s = None
        self._heard.set()


_TROUBLE = (RecsysError, ValueError, LookupError, TypeError, AttributeError)
"""What listening ends in, and what the client stumbles over when somebody hangs up in the middle."""
