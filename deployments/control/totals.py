"""The service's counters per arm, from the text that Prometheus reads."""

from collections.abc import Mapping, Sequence
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from recsys.experiments.measurements import Totals, latency_counter
from recsys.rollout.names import CANARY, SHADOW, STABLE
from recsys.rollout.state import RolloutState

ANSWER: Final = "answer"
ARM_COUNTER: Final = "marquee_arm_answers_total"
ARM_BUCKET: Final = "marquee_arm_seconds_bucket"
STAGE_BUCKET: Final = "marquee_stage_seconds_bucket"
COMPARED: Final = frozenset({ARM_COUNTER, ARM_BUCKET, STAGE_BUCKET})
STAGES: Final = ("recall", "ranking")

Series = tuple[str, tuple[tuple[str, str], ...]]
"""Name and sorted labels."""


def lanes_of(state: RolloutState) -> Mapping[str, Sequence[str]]:
    """Return lane -> under which names its stages are judged: they are timed by lane, not by arm."""
    return {state.stable_lane: (STABLE,), state.lane: (CANARY, SHADOW)}


def add_sample(
    totals: dict[str, dict[str, float]],
    name: str,
    labels: Mapping[str, str],
    value: float,
    lanes: Mapping[str, Sequence[str]],
) -> None:
    """Add one sample to the totals if it is one of those that are compared."""
    arms: Sequence[str]
    if name == ARM_COUNTER:
        arms, counter = (labels["arm"],), labels["what"]
    elif name == ARM_BUCKET:
        arms, counter = (labels["arm"],), latency_counter(ANSWER, float(labels["le"]))
    elif name == STAGE_BUCKET and labels["lane"] in lanes and labels["stage"] in STAGES:
        arms, counter = lanes[labels["lane"]], latency_counter(labels["stage"], float(labels["le"]))
    else:
        return
    for arm in arms:
        counters = totals.setdefault(arm, {})
        counters[counter] = counters.get(counter, 0.0) + value


def series_in(text: str) -> dict[Series, float]:
    """Return what a ``/metrics`` page holds of what is compared."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name in COMPARED
    }


def totals_of(values: Mapping[Series, float], state: RolloutState) -> Totals:
    """Return values by arm; those of stages go to the arms of their lanes."""
    totals: dict[str, dict[str, float]] = {}
    lanes = lanes_of(state)
    for (name, labels), value in values.items():
        add_sample(totals, name, dict(labels), value, lanes)
    return totals
