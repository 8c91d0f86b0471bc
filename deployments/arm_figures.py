"""What a router counts of each arm: what guardrails compare."""

from collections import Counter
from collections.abc import Sequence

from deployments.lists import Listed
from deployments.metrics import ARM_ANSWERS, ARM_SECONDS, DEGRADED
from deployments.question import Answer, Degradation
from deployments.traffic import Routed
from recsys.experiments.measurements import ANSWERS, EMPTY, ERRORS, SHORT
from recsys.experiments.measurements import DEGRADED as DEGRADED_ANSWERS
from recsys.rollout.names import CANARY, SHADOW, STABLE


def begin_at_zero() -> None:
    """Show every counter of the arms of a rollout before it counts.

    One that is first seen above zero has risen by nothing, as Prometheus has it: the first errors of a canary
    would count for nothing.
    """
    for arm in (STABLE, CANARY, SHADOW):
        ARM_SECONDS.labels(arm)
        for what in (ANSWERS, ERRORS, DEGRADED_ANSWERS, EMPTY, SHORT):
            ARM_ANSWERS.labels(arm, what)


def count_answers(
    asked: Sequence[Routed], listed: Sequence[Listed], missing: Sequence[list[Degradation]]
) -> None:
    """Count answers that were computed; those of the cache say nothing of an arm."""
    counts: Counter[tuple[str, str]] = Counter()
    missed: Counter[Degradation] = Counter()
    for (question, route), (items, n_named, _), degraded in zip(asked, listed, missing, strict=True):
        if route.arm != SHADOW:
            missed.update(degraded)
        if route.override:
            continue
        counts[route.arm, ANSWERS] += 1
        if degraded:
            counts[route.arm, DEGRADED_ANSWERS] += 1
        if not items:
            counts[route.arm, EMPTY] += 1
        if n_named < question.top_n:
            counts[route.arm, SHORT] += 1
    _add(counts)
    for part, count in missed.items():
        DEGRADED.labels(part.stage, part.why).inc(count)


def count_errors(asked: Sequence[Routed]) -> None:
    """Count questions that met a bug on their way."""
    _add(Counter((route.arm, ERRORS) for _, route in asked if not route.override))


def took(answer: Answer, seconds: float) -> None:
    """Count how long an answer took, from the arrival of its request."""
    if not (answer.cached or answer.override):
        ARM_SECONDS.labels(answer.arm).observe(seconds)


def _add(counts: Counter[tuple[str, str]]) -> None:
    for (arm, what), count in counts.items():
        ARM_ANSWERS.labels(arm, what).inc(count)
