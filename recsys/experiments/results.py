"""What an analysis finds, frozen and ready for JSON: no end of an interval is infinite there, but null."""

from math import isfinite
from typing import Literal

from recsys.core.settings import FrozenModel
from recsys.experiments.design import ExperimentDesign

Action = Literal["ship", "keep control", "go on", "do not trust"]


class Span(FrozenModel):
    """An interval; an end that is None is open."""

    lower: float | None
    upper: float | None

    def turned(self, sign: int) -> "Span":
        """Return it, or for ``sign`` = -1 its mirror image at 0."""
        if sign > 0:
            return self
        return Span(
            lower=None if self.upper is None else -self.upper,
            upper=None if self.lower is None else -self.lower,
        )


class Effect(FrozenModel):
    """One arm compared with the control in one metric."""

    control: float | None
    """Value of the metric; None without users."""
    treatment: float | None
    difference: float | None
    lift: float | None
    """Difference by control's value."""
    at_all_times: Span
    """Of the difference, and it may be looked at as often as one likes."""
    p_at_all_times: float | None
    lift_at_all_times: Span
    at_one_look: Span
    """Of the difference, for reference: right only if nobody looks before the end."""
    p_at_one_look: float | None


class Comparison(FrozenModel):
    """One arm compared with the control in one metric, without and with CUPED."""

    metric: str
    arm: str
    n_control: int
    n_treatment: int
    raw: Effect
    adjusted: Effect | None
    """With users' past taken out; None where no user has a past."""
    variance_removed: float
    std: float | None
    """Standard deviation of one user's part in the metric, of what counts."""
    p_corrected: float | None = None
    """Of what counts, at all times: Holm's over the arms, or in a table of segments Benjamini and Hochberg's
    over all its rows."""

    @property
    def counts(self) -> Effect:
        """What decides: adjusted where there is a past."""
        return self.adjusted or self.raw


class SegmentRow(FrozenModel):
    """One arm compared with the control in one metric, among the users of one label."""

    segment: str
    label: str
    comparison: Comparison


class DayEffect(FrozenModel):
    """Effect on users so many days after their first exposure."""

    day: int
    n_control: int
    n_treatment: int
    difference: float | None
    at_one_look: Span


class Trend(FrozenModel):
    """Whether the effect on a user changes with time: novelty wears off, habits form."""

    arm: str
    days: tuple[DayEffect, ...]
    slope_per_day: float | None
    """In the primary metric's unit."""
    standard_error: float | None
    p: float | None


class SampleRatio(FrozenModel):
    """Whether users were dealt as the shares say."""

    users: dict[str, int]
    shares: dict[str, float]
    p_at_all_times: float
    p_chi_square: float
    trusted: bool


class Recommendation(FrozenModel):
    """What to do, in a sentence."""

    action: Action
    arm: str | None
    sentence: str
    until_users: int | None = None
    """Of all arms, when to go on."""


class ExperimentResult(FrozenModel):
    """The whole analysis."""

    design: ExperimentDesign
    n_users: int
    sample_ratio: SampleRatio
    comparisons: tuple[Comparison, ...]
    segments: tuple[SegmentRow, ...]
    trends: tuple[Trend, ...]
    recommendation: Recommendation


def finite(value: float) -> float | None:
    """Return a number that JSON knows; None for what is not known or has no end."""
    return value if isfinite(value) else None
