"""The controller's counters where no Prometheus is: from every pod of the service."""

import logging
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx

from deployments.control.counters import Counted
from deployments.control.pod_tally import PodTally, Values
from deployments.control.totals import series_in, totals_of
from recsys.core.clock import Clock
from recsys.core.errors import FieldError, UnavailableError
from recsys.experiments.measurements import Totals, increase
from recsys.rollout.state import RolloutState

_log = logging.getLogger(__name__)
_AT_ONCE = 16
_MOST_PORT = 65_535


class PodsCounters:
    """Reads the page of every pod and adds them up.

    Pods that are gone keep what they said last, in memory. So a controller that begins anew in the middle of
    a step may know less than was counted when the step began; it begins the step's counts anew then.

    Args:
        resolve: returns the addresses of the pods, each ``HOST:PORT``, or raises UnavailableError.
        clock: monotonic seconds.
        timeout_s: how long a pod may take.
    """

    def __init__(self, resolve: Callable[[], Sequence[str]], *, clock: Clock, timeout_s: float = 3.0) -> None:
        self._resolve = resolve
        self._clock = clock
        self._timeout_s = timeout_s
        self._tally = PodTally()
        self._begun: tuple[object, Totals] | None = None

    def read(self, state: RolloutState) -> Counted:
        """Return what was counted; see :class:`deployments.control.counters.Counters`.

        Raises:
            UnavailableError: there are no addresses; a pod has never answered, or not for longer than the
                plan believes measurements.
        """
        addresses = self._resolve()
        self._ask(addresses)
        self._check(addresses, state.plan.max_age)
        now = totals_of(self._tally.total(), state)
        return Counted(increase(now, self._at_begin(state, now)), now)

    def _ask(self, addresses: Sequence[str]) -> None:
        with (  # never by a proxy
            httpx.Client(timeout=self._timeout_s, trust_env=False, verify=False) as client,
            ThreadPoolExecutor(_AT_ONCE) as pool,
        ):
            said = list(pool.map(lambda address: _said(client, address), addresses))
        now_s = self._clock()
        for address, values in zip(addresses, said, strict=True):
            if values is not None:
                self._tally.saw(address, values, now_s)

    def _check(self, addresses: Sequence[str], most_s: float) -> None:
        if not addresses:
            raise UnavailableError("pods", "there are none")
        now_s = self._clock()
        for address in addresses:
            seen_s = self._tally.seen_s(address)
            if seen_s is None:
                raise UnavailableError("pods", f"{address} has not answered yet")
            if now_s - seen_s > most_s:
                raise UnavailableError("pods", f"{address} has not answered for {now_s - seen_s:.0f} s")

    def _at_begin(self, state: RolloutState, now: Totals) -> Totals:
        """Return what the counters said when the step began."""
        step = (state.id, state.phase, state.step, state.since_s)
        if self._begun is not None and self._begun[0] == step:
            return self._begun[1]
        if state.baseline is not None and not _fell(state.baseline, now):
            return state.baseline
        _log.info("the counts of step %d of rollout %s begin now", state.step + 1, state.id)
        self._begun = step, now
        return now


def resolver_of(target: str) -> Callable[[], Sequence[str]]:
    """Return what finds all addresses of a name, as a headless Service of Kubernetes has them.

    Args:
        target: ``HOST:PORT``.

    Raises:
        FieldError: it is no such thing.
    """
    host, _, port = target.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or not 0 < int(port) <= _MOST_PORT:
        raise FieldError("pods", target, "HOST:PORT")

    def resolve() -> Sequence[str]:
        try:
            found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
        except OSError as error:
            raise UnavailableError("pods", f"{host}: {error}") from error
        return sorted({_address(str(address[0]), int(port)) for *_, address in found})

    return resolve


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _said(client: httpx.Client, address: str) -> Values | None:
    """Return what a pod says; None when it says nothing that can be used."""
    try:
        answer = client.get(f"http://{address}/metrics").raise_for_status()
        return series_in(answer.text)
    except (httpx.HTTPError, ValueError, LookupError) as error:
        _log.info("pod %s is not read: %r", address, error)
        return None


def _fell(before: Totals, now: Totals) -> bool:
    return any(
        now.get(arm, {}).get(name, 0.0) < value
        for arm, counters in before.items()
        for name, value in counters.items()
    )
