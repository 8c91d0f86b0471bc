"""What a sweep can look for: quality, and what it costs."""

from dataclasses import dataclass
from enum import StrEnum


class Objective(StrEnum):
    """A figure of every trial; each has one direction that is better."""

    NDCG = "ndcg@10"
    CANDIDATES = "recall@candidates"
    COVERAGE = "coverage@10"
    DIVERSITY = "diversity"
    LATENCY = "ms_per_request"
    SIZE = "bundle_mb"


class Step(StrEnum):
    """A part of a sweep: each holds what the steps before it have found."""

    RECALL = "recall"
    RANKER = "ranker"
    JOINT = "joint"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What there is to know of an objective."""

    larger_is_better: bool
    words: str


MEANINGS: dict[Objective, Meaning] = {
    Objective.NDCG: Meaning(larger_is_better=True, words="NDCG@10 on the validation questions"),
    Objective.CANDIDATES: Meaning(larger_is_better=True, words="share of the answers among the candidates"),
    Objective.COVERAGE: Meaning(larger_is_better=True, words="share of the catalogue in any list of ten"),
    Objective.DIVERSITY: Meaning(larger_is_better=True, words="1 - mean cosine of the tags within a list"),
    Objective.LATENCY: Meaning(larger_is_better=False, words="milliseconds of one core per request"),
    Objective.SIZE: Meaning(larger_is_better=False, words="bundle in 10^6 bytes"),
}
"""Every objective."""

OF_RECALL_ALONE = (Objective.CANDIDATES, Objective.LATENCY, Objective.SIZE)
"""What can be measured before there is a ranker."""


def turned(objective: Objective, value: float) -> float:
    """Return a value such that larger is better."""
    return value if MEANINGS[objective].larger_is_better else -value
