"""Shares that change on the way, as in a rollout: stretches of time in which they stay the same.

Within a stretch chance alone decides who is in which arm. Over all of them it does not: who comes when the
canary is large differs from who came when it was small, and so do the hours. So every list counts for the arm
that served it, and lists are weighted so that both arms have the same mixture of stretches but for chance, in
which stretches count most where the arms are of one size (overlap weights: of two arms a list weighs the
other arm's share). What chance leaves is taken out: each stretch is moved to the level of all of them, both
arms alike.

A user whom the canary's growth moved has a row in each arm. Next to the level of the stretch such rows are
alike, which makes the true error of the difference smaller than the stated one, not larger.

Source of the weights: Li, Morgan and Zaslavsky, "Balancing Covariates via Propensity Score Weighting", JASA
2018; for several arms Li and Li, Annals of Applied Statistics 2019.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from recsys.experiments.design import ExperimentDesign
from recsys.experiments.results import SampleRatio
from recsys.experiments.srm import chi_square_p_value, p_value_over_stretches
from recsys.experiments.tables import ARM, before_of, denominator_of
from recsys.experiments.units import ExperimentFacts
from recsys.experiments.user_tables import SEGMENTS, user_table

_TIME = pl.col("served_at_s")


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which shares stayed the same."""

    since_s: float
    until_s: float
    shares: Mapping[str, float]
    """Arm -> share of the users, each above 0, together 1."""

    @property
    def holds(self) -> pl.Expr:
        """Whether a list was served in it."""
        return _TIME.is_between(self.since_s, self.until_s, closed="left")


def within(facts: ExperimentFacts, stretches: Sequence[Stretch]) -> ExperimentFacts:
    """Keep the lists that were served in any of the stretches by an arm that was dealt there."""
    kept = [stretch.holds & pl.col(ARM).is_in(list(stretch.shares)) for stretch in stretches]
    return ExperimentFacts(facts.during.filter(pl.any_horizontal(kept)), facts.before, facts.start_s)


def are_even(stretches: Sequence[Stretch]) -> bool:
    """Tell whether shares never changed."""
    return all(stretch.shares == stretches[0].shares for stretch in stretches)


def mean_shares(facts: ExperimentFacts, stretches: Sequence[Stretch]) -> dict[str, float]:
    """Return the share of each arm, averaged over stretches by the users in each."""
    n_users = [facts.during.filter(stretch.holds)["unit"].n_unique() for stretch in stretches]
    return _mean(stretches, n_users) if sum(n_users) else dict(stretches[-1].shares)


def weighted_user_table(
    facts: ExperimentFacts, stretches: Sequence[Stretch], metrics: Collection[str]
) -> pl.DataFrame:
    """Return a user table without the past, see the head of this file; a row per user and arm."""
    parts = [_of_stretch(facts, stretch, metrics) for stretch in stretches]
    whole = pl.concat(parts)
    for metric in metrics:
        parts = [_levelled(part, metric, _level(whole, metric)) for part in parts]
    sums = [pl.col(name).sum() for metric in metrics for name in (metric, denominator_of(metric))]
    return pl.concat(parts).group_by("unit", ARM, maintain_order=True).agg(pl.col(*SEGMENTS).first(), *sums)


def stretched_sample_ratio(
    design: ExperimentDesign, facts: ExperimentFacts, stretches: Sequence[Stretch]
) -> SampleRatio:
    """Say whether users were dealt by the shares of the stretch in which they first came."""
    first = facts.during.sort("served_at_s", maintain_order=True).unique(
        "unit", keep="first", maintain_order=True
    )
    counts = [
        [first.filter(stretch.holds & (pl.col(ARM) == arm)).height for arm in design.arms]
        for stretch in stretches
    ]
    shares = [[stretch.shares[arm] for arm in design.arms] for stretch in stretches]
    users = [sum(column) for column in zip(*counts, strict=True)]
    n_first = [sum(row) for row in counts]
    mean = _mean(stretches, n_first) if sum(n_first) else dict(design.arms)
    p = p_value_over_stretches(counts, shares)
    return SampleRatio(
        users=dict(zip(design.arms, users, strict=True)),
        shares={arm: mean[arm] for arm in design.arms},
        p_at_all_times=p,
        p_chi_square=chi_square_p_value(users, [mean[arm] for arm in design.arms]),
        trusted=p >= design.sample_ratio_alpha,
    )


def _of_stretch(facts: ExperimentFacts, stretch: Stretch, metrics: Collection[str]) -> pl.DataFrame:
    during = facts.during.filter(stretch.holds)
    table = user_table(ExperimentFacts(during, facts.before, facts.start_s).units(), metrics)
    overlap = 1.0 / sum(1.0 / share for share in stretch.shares.values())
    weights = {arm: overlap / share for arm, share in stretch.shares.items()}
    weight = pl.col(ARM).replace_strict(weights, return_dtype=pl.Float64)
    counted = [name for metric in metrics for name in (metric, denominator_of(metric))]
    return table.drop(before_of(metric) for metric in metrics).with_columns(pl.col(*counted) * weight)


def _level(table: pl.DataFrame, metric: str) -> float:
    shown = float(table[denominator_of(metric)].sum())
    return float(table[metric].sum()) / shown if shown else 0.0


def _levelled(table: pl.DataFrame, metric: str, level: float) -> pl.DataFrame:
    """Move a stretch to another level, all users by the same."""
    return table.with_columns(
        pl.col(metric) + (level - _level(table, metric)) * pl.col(denominator_of(metric))
    )


def _mean(stretches: Sequence[Stretch], n_users: Sequence[int]) -> dict[str, float]:
    return {
        arm: sum(n * stretch.shares[arm] for n, stretch in zip(n_users, stretches, strict=True))
        / sum(n_users)
        for arm in stretches[0].shares
    }
