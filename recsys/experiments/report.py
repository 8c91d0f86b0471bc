"""The report of an experiment: the analysis, and how it came about look by look."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import polars as pl

from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.settings import FrozenModel
from recsys.experiments.analysis import analyse
from recsys.experiments.comparing import compare
from recsys.experiments.design import ExperimentDesign
from recsys.experiments.results import Effect, ExperimentResult, SampleRatio
from recsys.experiments.stretches import (
    Stretch,
    are_even,
    mean_shares,
    stretched_sample_ratio,
    weighted_user_table,
    within,
)
from recsys.experiments.tables import ARM, moments_by_arm
from recsys.experiments.units import ExperimentFacts
from recsys.experiments.user_tables import day_table, user_table

_LOOKS_DAILY_FROM_DAYS = 3.0
_N_LOOKS = 12  # of what is shorter
_MOST_LOOKS = 60
_A_MOMENT_S = 1e-3  # behind the last list, so that it is seen


@dataclass(frozen=True, slots=True)
class Subject:
    """What is reported on."""

    title: str
    design: ExperimentDesign
    """Where shares changed, its shares are replaced by their mean."""
    arms_are: Mapping[str, str]
    """Arm -> what its users got, in words."""
    experiment: str | None
    """Its name in exposures; None: the arms of the rollout."""
    stretches: Sequence[Stretch]
    """One or more, from old to new; the last ends now when it goes on."""
    ended: bool

    @property
    def since_s(self) -> float:
        """When it began."""
        return self.stretches[0].since_s

    @property
    def until_s(self) -> float:
        """When it ended, or now."""
        return self.stretches[-1].until_s


class Look(FrozenModel):
    """What was known at some time: of the lists that were served until then."""

    days: float
    """Since the beginning."""
    users: dict[str, int]
    """By arm."""
    effects: dict[str, Effect]
    """Of each arm but the control, in the primary metric; what decides."""


class ExperimentReport(FrozenModel):
    """Everything that a page or a printout shows."""

    title: str
    since_s: float
    until_s: float
    ended: bool
    arms_are: dict[str, str]
    lists: dict[str, int]
    """By arm."""
    crossed: int
    """Users whom more than one arm served."""
    shares_changed: bool
    """On the way, as in a rollout; then nobody's past is used."""
    looks: tuple[Look, ...]
    notes: tuple[str, ...]
    """What a reader has to know to read the figures."""
    result: ExperimentResult


def report_on(subject: Subject, facts: ExperimentFacts) -> ExperimentReport:
    """Report on what was served, and what became of it.

    Args:
        subject: the experiment or rollout.
        facts: of its lists and of those before it.

    Raises:
        FieldError: an arm was served that the design does not know.
        NotFoundError: the design has a metric that nobody measures.
    """
    kept = within(facts, subject.stretches)
    design = _design(subject, kept)
    units = kept.units()
    lists = dict(kept.during.group_by(ARM).len().iter_rows())
    return ExperimentReport(
        title=subject.title,
        since_s=subject.since_s,
        until_s=subject.until_s,
        ended=subject.ended,
        arms_are=dict(subject.arms_are),
        lists={arm: int(lists.get(arm, 0)) for arm in design.arms},
        crossed=units.n_crossed,
        shares_changed=not are_even(subject.stretches),
        looks=tuple(_look(subject, design, kept, at_s) for at_s in look_times_s(subject, kept.during)),
        notes=_notes(subject, kept.during.height, units.n_crossed),
        result=_result(subject, design, kept),
    )


def look_times_s(subject: Subject, during: pl.DataFrame) -> list[float]:
    """Return when one looks: at the end of each day, and of what is short a dozen times."""
    if not during.height:
        return []
    latest_s = float(during["served_at_s"].to_numpy().max())
    last_s = min(subject.until_s, latest_s + _A_MOMENT_S)
    lasted_s = last_s - subject.since_s
    n_days = lasted_s / SECONDS_PER_DAY
    daily_s = SECONDS_PER_DAY * ceil(n_days / _MOST_LOOKS)
    every_s = daily_s if n_days >= _LOOKS_DAILY_FROM_DAYS else lasted_s / _N_LOOKS
    n_before = ceil(lasted_s / every_s - 1e-6) - 1
    return [*(subject.since_s + every_s * look for look in range(1, n_before + 1)), last_s]


def _design(subject: Subject, facts: ExperimentFacts) -> ExperimentDesign:
    if are_even(subject.stretches):
        return subject.design
    mean = mean_shares(facts, subject.stretches)
    return subject.design.model_copy(update={"arms": {arm: mean[arm] for arm in subject.design.arms}})


def _table(subject: Subject, design: ExperimentDesign, facts: ExperimentFacts) -> pl.DataFrame:
    metrics = [metric.name for metric in design.metrics]
    if are_even(subject.stretches):
        return user_table(facts.units(), metrics)
    return weighted_user_table(facts, subject.stretches, metrics)


def _result(subject: Subject, design: ExperimentDesign, facts: ExperimentFacts) -> ExperimentResult:
    even = are_even(subject.stretches)
    ratio: SampleRatio | None = None if even else stretched_sample_ratio(design, facts, subject.stretches)
    days = day_table(facts.during, design.primary.name, until_s=subject.until_s) if even else None
    return analyse(design, _table(subject, design, facts), days, ratio)


def _look(subject: Subject, design: ExperimentDesign, facts: ExperimentFacts, at_s: float) -> Look:
    """Look at what was served by then; reactions are all that ever came, most come within the minute."""
    known = ExperimentFacts(facts.during.filter(pl.col("served_at_s") < at_s), facts.before, facts.start_s)
    only = design.model_copy(update={"further": (), "guardrails": ()})
    table = _table(subject, only, known)
    moments = moments_by_arm(table, design.primary, tuple(design.arms))
    effects = {
        arm: compare(
            design.primary.name, moments, design.control, arm, design.alpha_per_arm, design.planned_pair(arm)
        ).counts
        for arm in design.treatments
    }
    users = {arm: found.n for arm, found in moments.items()}
    return Look(days=(at_s - subject.since_s) / SECONDS_PER_DAY, users=users, effects=effects)


def _notes(subject: Subject, n_lists: int, n_crossed: int) -> tuple[str, ...]:
    if not n_lists:
        return ("No list of it is on disk: routers write every 15 seconds what they served.",)
    if not are_even(subject.stretches):
        changed = (
            f"Shares changed on the way ({len(subject.stretches)} steps): lists count for the arm that "
            "served them, weighted so that both arms have the same mixture of steps; a mean per user is "
            "one per user and step. Users' past is not used, and there is no trend by day."
        )
        return (changed,)
    if n_crossed:
        return (
            f"{n_crossed:,} users were served by more than one arm; all they did belongs to their first.",
        )
    return ()
