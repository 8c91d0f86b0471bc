"""The whole analysis of an experiment: from tables of users to a result with a recommendation."""

import polars as pl

from recsys.experiments.comparing import compare
from recsys.experiments.corrections import benjamini_hochberg
from recsys.experiments.design import ExperimentDesign, Metric
from recsys.experiments.novelty import trends
from recsys.experiments.recommendation import recommend
from recsys.experiments.results import Comparison, ExperimentResult, SampleRatio, SegmentRow, finite
from recsys.experiments.srm import chi_square_p_value, sequential_p_value
from recsys.experiments.tables import check_table, moments_by_arm, moments_by_label, users_by_arm


def analyse(
    design: ExperimentDesign, users: pl.DataFrame, days: pl.DataFrame | None = None
) -> ExperimentResult:
    """Analyse what is known so far; it may be asked every day, and stopped at any.

    Args:
        design: what was declared before the first user.
        users: the user table, see :mod:`recsys.experiments.tables`.
        days: the day table; without it there are no trends.

    Raises:
        FieldError: a table lacks a column, or knows an arm that the design does not.
    """
    check_table(users, design, (*(metric.name for metric in design.metrics), *design.segments))
    sample_ratio = check_sample_ratio(design, users_by_arm(users, design))
    comparisons = tuple(
        comparison for metric in design.metrics for comparison in _of_metric(design, users, metric)
    )
    return ExperimentResult(
        design=design,
        n_users=users.height,
        sample_ratio=sample_ratio,
        comparisons=comparisons,
        segments=_segments(design, users),
        trends=() if days is None else trends(design, days),
        recommendation=recommend(design, sample_ratio, comparisons),
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
    return [
        compare(metric.name, arms, design.control, arm, design.alpha_per_arm, design.planned_pair(arm))
        for arm in design.treatments
    ]


def _segments(design: ExperimentDesign, users: pl.DataFrame) -> tuple[SegmentRow, ...]:
    """Compare in the primary metric, segment by segment; all rows are one table of comparisons."""
    found: list[tuple[str, str, Comparison]] = []
    for segment in design.segments:
        for label, arms in moments_by_label(users, design.primary, tuple(design.arms), segment).items():
            for arm in design.treatments:
                planned = design.planned_pair(arm)  # fixed before: it must not follow the data
                row = compare(design.primary.name, arms, design.control, arm, design.alpha_per_arm, planned)
                found.append((segment, label, row))
    p = [_nan_if_none(row.counts.p_at_all_times) for *_, row in found]
    return tuple(
        SegmentRow(segment=segment, label=label, comparison=row, p_corrected=finite(float(corrected)))
        for (segment, label, row), corrected in zip(found, benjamini_hochberg(p), strict=True)
    )


def _nan_if_none(value: float | None) -> float:
    """Return a number for arrays: nan for what is not known."""
    return float("nan") if value is None else value
