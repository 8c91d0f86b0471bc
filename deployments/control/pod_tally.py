"""The counters of many pods as one, through their restarts and their ends."""

from collections.abc import Mapping
from dataclasses import dataclass

from deployments.control.totals import Series

Values = Mapping[Series, float]


@dataclass(frozen=True, slots=True)
class _Pod:
    values: Values  # as it said last
    before: Values  # what it had counted when it began anew
    read_s: float


class PodTally:
    """Adds up what pods say. What was counted once stays: totals never fall, whatever becomes of the pods."""

    def __init__(self) -> None:
        self._pods: dict[str, _Pod] = {}

    def saw(self, address: str, values: Values, now_s: float) -> None:
        """Take down what a pod says now.

        One of whose counters any has fallen has begun anew, at zero; also if another has its address now.
        """
        known = self._pods.get(address, _Pod({}, {}, now_s))
        fell = any(values.get(series, 0.0) < value for series, value in known.values.items())
        before = _added(known.before, known.values) if fell else known.before
        self._pods[address] = _Pod(values, before, now_s)

    def seen_s(self, address: str) -> float | None:
        """Return when a pod last said something; None when it never did."""
        pod = self._pods.get(address)
        return None if pod is None else pod.read_s

    def total(self) -> Values:
        """Return what all pods have counted, those included that are gone."""
        return _added(*(part for pod in self._pods.values() for part in (pod.before, pod.values)))


def _added(*parts: Values) -> Values:
    total: dict[Series, float] = {}
    for part in parts:
        for series, value in part.items():
            total[series] = total.get(series, 0.0) + value
    return total
