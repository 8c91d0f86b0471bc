"""Where the controller gets its counters from: the service itself, or Prometheus."""

from dataclasses import dataclass
from typing import Protocol

import httpx

from deployments.control.totals import (
    ARM_BUCKET,
    ARM_COUNTER,
    STAGE_BUCKET,
    add_sample,
    lanes_of,
    series_in,
    totals_of,
)
from recsys.core.clock import Clock
from recsys.core.errors import UnavailableError
from recsys.experiments.measurements import Totals, increase
from recsys.rollout.state import RolloutState

_MISSED = "5m"  # a scrape or some may have failed just when the step began


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted."""

    since_step: Totals
    now: Totals | None  # where the next step begins to count; None: this source needs no beginning


class Counters(Protocol):
    """Counts per arm since the step of a rollout began."""

    def read(self, state: RolloutState) -> Counted:
        """Return what was counted.

        Raises:
            UnavailableError: the source cannot be reached, or what it has is too old.
        """
        ...


class ServiceCounters:
    """Asks the service itself: its routers add their counters up in files of the machine.

    Args:
        url: of the service.
        timeout_s: how long it may take.
    """

    def __init__(self, url: str, *, timeout_s: float = 5.0) -> None:
        self._url = f"{url}/metrics"
        self._timeout_s = timeout_s

    def read(self, state: RolloutState) -> Counted:
        """Return what was counted; see :class:`Counters`."""
        try:
            page = httpx.get(self._url, timeout=self._timeout_s)
            page.raise_for_status()
        except httpx.HTTPError as error:
            raise UnavailableError("metrics of the service", repr(error)) from error
        now = totals_of(series_in(page.text), state)
        return Counted(increase(now, state.baseline or {}), now)


class PrometheusCounters:
    """Asks a Prometheus that scrapes all pods of the service; it knows what happened before restarts.

    What a counter says now less what it said when the step began is exact. Of counters alone that have begun
    anew since then, or were not there yet, Prometheus' own ``increase`` is asked: it stretches what it has
    seen to the whole window, and knows nothing of what was counted before the first scrape within it.

    Args:
        url: of Prometheus.
        selector: labels that pick this service, ``namespace="prod",release="films"`` for example.
        clock: Unix time.
        timeout_s: how long it may take.

    Source: the HTTP API, https://prometheus.io/docs/prometheus/latest/querying/api/.
    """

    def __init__(self, url: str, *, clock: Clock, selector: str = "", timeout_s: float = 10.0) -> None:
        self._url = f"{url.rstrip('/')}/api/v1/query"
        self._selector = selector
        self._clock = clock
        self._timeout_s = timeout_s

    def read(self, state: RolloutState) -> Counted:
        """Return what was counted; see :class:`Counters`."""
        now_s = self._clock()
        self._check_age(now_s, state.plan.max_age)
        window_ms = max(1, round(1_000 * (now_s - state.since_s)))
        totals: dict[str, dict[str, float]] = {}
        for name, by in (
            (ARM_COUNTER, "arm, what"),
            (ARM_BUCKET, "arm, le"),
            (STAGE_BUCKET, "stage, lane, le"),
        ):
            query = f"sum by ({by}) ({_risen(f'{name}{{{self._selector}}}', f'{window_ms}ms')})"
            for labels, value in self._query(query, now_s):
                add_sample(totals, name, labels, value, lanes_of(state))
        return Counted(totals, None)

    def _check_age(self, now_s: float, most_s: float) -> None:
        query = f"max(timestamp({ARM_COUNTER}{{{self._selector}}}))"
        newest = [value for _, value in self._query(query, now_s)]
        age_s = now_s - max(newest, default=0.0)
        if age_s > most_s:
            said = f"the newest sample is {age_s:.0f} s old" if newest else "it has no samples of the service"
            raise UnavailableError("Prometheus", said)

    def _query(self, query: str, at_s: float) -> list[tuple[dict[str, str], float]]:
        try:
            answer = httpx.get(self._url, params={"query": query, "time": at_s}, timeout=self._timeout_s)
            if answer.is_error:
                raise UnavailableError("Prometheus", f"{answer.status_code}: {answer.text[:200]}")
            found = answer.json()["data"]["result"]
            return [(one["metric"], float(one["value"][1])) for one in found]
        except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
            raise UnavailableError("Prometheus", repr(error)) from error


def _risen(series: str, window: str) -> str:
    """Return the query of how much each series has risen within a window that ends now."""
    before = f"last_over_time({series}[{_MISSED}] offset {window})"
    exact = f"last_over_time({series}[{window}]) - {before}"
    return f"({exact} and resets({series}[{window}]) == 0) or increase({series}[{window}])"
