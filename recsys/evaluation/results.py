"""The result of an evaluation as closed tables; ``Report.model_dump_json`` is the file that machines read."""

from pydantic import Field

from recsys.core.settings import FrozenModel

WHOLE = "two-stage"
"""Row name of the whole pipeline; every other row is compared with it."""

MAIN_METRIC = "ndcg@10"
"""The metric that the report speaks about."""

COMPARED = (MAIN_METRIC, "recall@10")
"""Metrics whose differences to the whole pipeline are reported."""

FEWEST_USERS = 20
"""Of fewer users no difference is called significant: the bootstrap of a handful is far too sure."""

ALL_USERS = "all"
COLD_USERS = "cold"
UNTIED_USERS = "untied"


class Estimate(FrozenModel):
    """A mean over users with its bootstrap interval."""

    value: float
    low: float
    high: float


class GroupResult(FrozenModel):
    """Accuracy for a part of the users."""

    n_users: int
    metrics: dict[str, Estimate]


class Row(FrozenModel):
    """One model."""

    model: str
    metrics: dict[str, Estimate]
    """Means over users: accuracy, diversity, novelty, popularity, recall of the candidates."""

    exposure: dict[str, float]
    """Of all lists together: coverage and Gini. No intervals: a resample of users shows fewer items."""

    buckets: dict[str, GroupResult]
    """By length of the history, for example ``6-20``; buckets without users are left out."""

    cold: GroupResult | None
    """Users without any history; None when there are none."""

    untied: GroupResult | None
    """Users whose question is later than all of their history; None when that is everybody.

    The order of two items with equal times is that of the file, often by item id: a model that learns the
    file's order predicts it, and no live user ever shows it.
    """

    fit_s: float
    peak_mb: float
    """Largest resident memory of the process during the fit, in 10^6 bytes, code and data included."""

    peak_is_of_fit: bool
    """False where the system only tells the peak since the process began."""

    answer_s: float
    """Seconds for the lists of all test users."""

    n_candidates: int | None = None
    """Length of the candidate lists; None for a model with one stage."""


class Skipped(FrozenModel):
    """A model that could not be fitted on this data, and why."""

    model: str
    why: str


class PairedDifference(FrozenModel):
    """``model`` minus ``against`` over the same users."""

    model: str
    against: str
    metric: str
    group: str
    """``all``, ``cold``, ``untied`` or a bucket of history length."""

    n_users: int
    value: float
    low: float
    high: float
    p: float
    significant: bool
    """The interval leaves out 0, and there are users enough to say so."""


class Counts(FrozenModel):
    """How much was asked."""

    n_items: int
    n_users: int
    n_train_events: int
    n_test_users: int
    n_targets: int
    n_cold_users: int
    n_tied_users: int
    """Asked at the very time of the last item of their history."""

    n_seen_targets: int
    """Held out, but in the user's history already: nobody could name them, they do not count."""

    n_repeated_targets: int
    n_untested_users: int
    """Have something held out, but all of it was seen before."""


class Report(FrozenModel):
    """Everything an evaluation found."""

    data: str
    protocol: str
    rows: list[Row]
    skipped: list[Skipped] = Field(default_factory=list)
    differences: list[PairedDifference] = Field(default_factory=list)
    findings: list[str] = Field(default_factory=list)
    """What the differences say, in sentences, first of all where ``two-stage`` is not better."""

    counts: Counts
    seed: int
    n_resamples: int
    level: float
    machine: str
    date: str
