"""The whole analysis of an experiment: from tables of users to a result with a recommendation."""

from collections.abc import Callable, Mapping, Sequence
from math import nan

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.experiments.comparing import compare
from recsys.experiments.corrections import benjamini_hochberg, holm
from recsys.experiments.design import ExperimentDesign, Metric
from recsys.experiments.moments import Moments
from recsys.experiments.novelty import trends
from recsys.experiments.recommendation import recommend
from recsys.experiments.results import Comparison, ExperimentResult, SampleRatio, SegmentRow, finite
from recsys.experiments.srm import chi_square_p_value, sequential_p_value
from recsys.experiments.tables import check_table, moments_by_arm, moments_by_label, users_by_arm

Correction = Callable[[Sequence[float]], NDArray[np.float64]]


def analyse(
    design: ExperimentDesign,
    users: pl.DataFrame,
    days: pl.DataFrame | None = None,
    sample_ratio: SampleRatio | None = None,
) -> ExperimentResult:
    """Analyse what is known so far; it may be asked every day, and stopped at any.

    Args:
        design: what was declared before the first user.
        users: the user table, see :mod:`recsys.experiments.tables`.
        days: the day table; without it there are no trends.
        sample_ratio: where shares changed on the way, so that users per arm do not say it.

    Raises:
        FieldError: a table lacks a column, or knows an arm that the design does not.
    """
    check_table(users, design, (*(metric.name for metric in design.metrics), *design.segments))
    dealt = sample_ratio or check_sample_ratio(design, users_by_arm(users, design))
    comparisons = tuple(
        comparison for metric in design.metrics for comparison in _of_metric(design, users, metric)
    )
    return ExperimentResult(
        design=design,
        n_users=sum(dealt.users.values()),
        sample_ratio=dealt,
        comparisons=comparisons,
        segments=_segments(design, users),
        trends=() if days is None else trends(design, days),
        recommendation=recommend(design, dealt, comparisons),
    )


def check_sample_ratio(design: ExperimentDesign, users: dict[str, int]) -> SampleRatio:
    """Say whether so many users per arm can have been dealt by the declared shares."""
    counts, shares = [users[arm] for arm in design.arms], list(design.arms.values())
    p = sequential_p_value(counts, shares)
    return SampleRatio(
        users=users,
        shares=design.arms,
        p_at_all_times=p,
        p_chi_square=chi_square_p_value(counts, shares),
        trusted=p >= design.sample_ratio_alpha,
    )


def _of_metric(design: ExperimentDesign, users: pl.DataFrame, metric: Metric) -> list[Comparison]:
    arms = moments_by_arm(users, metric, tuple(design.arms))
    return _corrected(holm, _compared(design, metric, arms))


def _segments(design: ExperimentDesign, users: pl.DataFrame) -> tuple[SegmentRow, ...]:
    """Compare in the primary metric, segment by segment; all rows are one table of comparisons."""
    places: list[tuple[str, str]] = []
    found: list[Comparison] = []
    for segment in design.segments:
        for label, arms in moments_by_label(users, design.primary, tuple(design.arms), segment).items():
            places += [(segment, label)] * len(design.treatments)
            found += _compared(design, design.primary, arms)
    return tuple(
        SegmentRow(segment=segment, label=label, comparison=comparison)
        for (segment, label), comparison in zip(places, _corrected(benjamini_hochberg, found), strict=True)
    )


def _compared(design: ExperimentDesign, metric: Metric, arms: Mapping[str, Moments]) -> list[Comparison]:
    """Compare every arm; users are planned for the whole, as what is planned must not follow the data."""
    return [
        compare(metric.name, arms, design.control, arm, design.alpha_per_arm, design.planned_pair(arm))
        for arm in design.treatments
    ]


def _corrected(correct: Correction, found: Sequence[Comparison]) -> list[Comparison]:
    known = [nan if (p := comparison.counts.p_at_all_times) is None else p for comparison in found]
    return [
        comparison.model_copy(update={"p_corrected": finite(float(p))})
        for comparison, p in zip(found, correct(known), strict=True)
    ]
