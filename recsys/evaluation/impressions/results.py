"""The result of judging shown items as closed tables; ``model_dump_json`` is the file that machines read."""

from enum import StrEnum

from pydantic import Field

from recsys.core.settings import FrozenModel
from recsys.data.impressions import Target
from recsys.evaluation.results import Estimate, PairedDifference, Skipped


class Shower(StrEnum):
    """Who decided what was shown; figures of the two are never mixed."""

    RECOMMENDER = "recommender"
    CHANCE = "chance"


class Asked(FrozenModel):
    """One question to one kind of impressions."""

    target: Target
    shower: Shower
    n_users: int
    n_impressions: int
    chosen_share: float
    n_mixed_users: int
    """Have both answers: all others are left out of every figure but the pooled AUC, which takes them in."""

    n_mixed_impressions: int
    n_within_ten: int
    """Of the mixed users, those with at most ten impressions: for them NDCG@10 is NDCG."""


class Judgement(FrozenModel):
    """One model's answer to one question."""

    model: str
    target: Target
    shower: Shower
    metrics: dict[str, Estimate]


class Cost(FrozenModel):
    """What a model took, whatever the question."""

    model: str
    fit_s: float
    answer_s: float


class ImpressionReport(FrozenModel):
    """Everything that judging shown items found."""

    data: str
    test_days: float
    gap_s: float
    asked: list[Asked]
    judgements: list[Judgement]
    costs: list[Cost]
    skipped: list[Skipped] = Field(default_factory=list)
    differences: list[PairedDifference] = Field(default_factory=list)
    """``group`` is the question, as ``click, shown by recommender``."""

    findings: list[str] = Field(default_factory=list)
    n_items: int
    n_train_events: int
    n_past_impressions: int
    n_sessions: int
    n_across: int
    """Sessions that lie across the cut and are in neither part."""

    n_users_without_past: int
    n_unknown_items: int
    seed: int
    n_resamples: int
    level: float
    machine: str
    date: str


def group_name(target: Target, shower: Shower) -> str:
    """Return how differences name a question."""
    return f"{target.value}, shown by {shower.value}"
