"""Counts what becomes of requests while they come back, per arm and per second."""

from dataclasses import dataclass, field

import numpy as np

from loadtest.live.reactions import Reactions
from loadtest.live.result import NO_ARM, ArmResult, ArmStep, EventsResult, LiveSecond
from loadtest.live.wire import Shown
from loadtest.measure.histogram import Histogram

_MS_PER_S = 1e3


@dataclass(slots=True)
class _Counts:
    latency: Histogram = field(default_factory=Histogram)
    bundles: dict[str, None] = field(default_factory=dict)  # a set that keeps its order
    failures: dict[str, int] = field(default_factory=dict)
    n_answers: int = 0
    n_degraded: int = 0
    n_shown: int = 0
    n_met_again: int = 0
    n_exhausted: int = 0
    n_looked: int = 0
    n_watched: int = 0
    chances: float = 0.0  # of all that was shown, summed up

    def add(self, shown: Shown, reactions: Reactions, latency_s: float, n_met_again: int) -> None:
        self.latency.record(latency_s)
        self.bundles[shown.bundle] = None
        self.n_answers += 1
        self.n_degraded += shown.degraded
        self.n_shown += len(shown.item_ids)
        self.n_met_again += n_met_again
        self.n_looked += int(reactions.looked.sum())
        self.n_watched += int(reactions.watched.sum())
        self.chances += float(reactions.chances.sum())

    def percentile_ms(self, percentile: float) -> float | None:
        found = self.latency.percentile_s(percentile)
        return None if np.isnan(found) else round(found * _MS_PER_S, 3)


class Ledger:
    """Everything that was counted; times are seconds after the beginning."""

    def __init__(self) -> None:
        self._arms: dict[str, _Counts] = {}
        self._seconds: dict[tuple[int, str], _Counts] = {}
        self._paths: dict[str, list[ArmStep]] = {}
        self._asked_s: dict[str, float] = {}  # when everybody's newest answer had been asked for
        self._n_events = 0
        self._event_statuses: dict[str, int] = {}
        self._event_failures: dict[str, int] = {}

    def failed(self, name: str, at_s: float, arm: str = NO_ARM) -> None:
        """Count a request for a list that failed, with the arm where an answer names one."""
        for counts in self._counts(at_s, arm):
            _count(counts.failures, name)

    def answered(
        self, shown: Shown, reactions: Reactions, *, at_s: float, latency_s: float, n_met_again: int = 0
    ) -> None:
        """Count a list that came, and what was made of it."""
        for counts in self._counts(at_s, shown.arm):
            counts.add(shown, reactions, latency_s, n_met_again)

    def exhausted(self, arm: str, at_s: float) -> None:
        """Count a list that is short because its user has met nearly everything."""
        for counts in self._counts(at_s, arm):
            counts.n_exhausted += 1

    def met(self, user_id: str, arm: str, *, asked_s: float, at_s: float) -> None:
        """Note on which arm somebody is.

        An answer that was overtaken by a later question's answer says nothing: it was decided before.
        """
        if asked_s < self._asked_s.get(user_id, 0.0):
            return
        self._asked_s[user_id] = asked_s
        steps = self._paths.setdefault(user_id, [])
        if not steps or steps[-1].arm != arm:
            steps.append(ArmStep(at_s, arm))

    def told(self, n: int) -> None:
        """Count events on their way."""
        self._n_events += n

    def events_answered(self, statuses: list[str]) -> None:
        """Count what became of events."""
        for status in statuses:
            _count(self._event_statuses, status)

    def events_failed(self, name: str) -> None:
        """Count a batch of events that failed."""
        _count(self._event_failures, name)

    def arms(self) -> tuple[ArmResult, ...]:
        """Return the figures so far, by name of arm."""
        return tuple(_arm_result(arm, self._arms[arm]) for arm in sorted(self._arms))

    def events(self) -> EventsResult:
        """Return what has become of events so far."""
        return EventsResult(self._n_events, dict(self._event_statuses), dict(self._event_failures))

    def seconds(self) -> tuple[LiveSecond, ...]:
        """Return the time line so far."""
        return tuple(_second(*key, self._seconds[key]) for key in sorted(self._seconds))

    def paths(self) -> dict[str, tuple[ArmStep, ...]]:
        """Return the arms that everybody has met."""
        return {user_id: tuple(steps) for user_id, steps in self._paths.items()}

    def _counts(self, at_s: float, arm: str) -> tuple[_Counts, _Counts]:
        second = self._seconds.setdefault((int(at_s), arm), _Counts())
        return self._arms.setdefault(arm, _Counts()), second


def _count(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1


def _arm_result(arm: str, counts: _Counts) -> ArmResult:
    return ArmResult(
        arm,
        tuple(counts.bundles),
        counts.n_answers,
        dict(counts.failures),
        counts.n_degraded,
        counts.n_shown,
        counts.n_met_again,
        counts.n_exhausted,
        counts.n_looked,
        counts.n_watched,
        counts.n_watched / counts.n_shown if counts.n_shown else None,
        counts.chances / counts.n_shown if counts.n_shown else None,
        counts.percentile_ms(50),
        counts.percentile_ms(99),
    )


def _second(at_s: int, arm: str, counts: _Counts) -> LiveSecond:
    return LiveSecond(
        at_s,
        arm,
        counts.n_answers,
        sum(counts.failures.values()),
        counts.n_degraded,
        counts.n_shown,
        counts.n_watched,
        counts.percentile_ms(50),
        counts.percentile_ms(99),
    )
