"""What to do, in one plain sentence with its reason."""

from collections.abc import Sequence
from math import floor, log10

from recsys.experiments.design import ExperimentDesign, Metric
from recsys.experiments.power import PowerPlan, users_needed
from recsys.experiments.results import Comparison, Recommendation, SampleRatio, Span


def recommend(
    design: ExperimentDesign, sample_ratio: SampleRatio, comparisons: Sequence[Comparison]
) -> Recommendation:
    """Judge by the intervals that hold at all times; with CUPED where users have a past.

    Ship the best arm that is surely better and breaks no guardrail; keep the control when no arm can be
    usefully better any more, or the planned users have come; else go on. A sample that was not dealt as
    declared gets no verdict at all.
    """
    if not sample_ratio.trusted:
        return _do_not_trust(sample_ratio)
    of_primary = {c.arm: c for c in comparisons if c.metric == design.primary.name}
    broken = {arm: _broken(design, comparisons, arm) for arm in of_primary}
    winners = [
        c
        for c in of_primary.values()
        if (least := _span(c, design.primary).lower) is not None and least > 0.0 and not broken[c.arm]
    ]
    if winners:
        return _ship(design, max(winners, key=lambda c: design.primary.sign * (c.counts.difference or 0.0)))
    closed = [_closed(design, c, broken[c.arm]) for c in of_primary.values()]
    if all(closed):
        return Recommendation(
            action="keep control", arm=design.control, sentence=f"Keep {design.control}: {'; '.join(closed)}."
        )
    return _open(design, sum(sample_ratio.users.values()), list(of_primary.values()))


def _do_not_trust(sample_ratio: SampleRatio) -> Recommendation:
    n = max(1, sum(sample_ratio.users.values()))
    found = ", ".join(
        f"{arm} has {users:,} users ({users / n:.2%}, dealt {sample_ratio.shares[arm]:.2%})"
        for arm, users in sample_ratio.users.items()
    )
    why = f"users were not dealt as declared: {found}; p = {sample_ratio.p_at_all_times:.1g}"
    return Recommendation(
        action="do not trust",
        arm=None,
        sentence=f"Do not trust this experiment, {why}. Find the cause first.",
    )


def _broken(design: ExperimentDesign, comparisons: Sequence[Comparison], arm: str) -> str:
    """Return which guardrail the arm surely breaks, empty when none."""
    for guardrail in design.guardrails:
        for found in comparisons:
            if (found.metric, found.arm) == (guardrail.name, arm):
                most = found.counts.lift_at_all_times.turned(guardrail.sign).upper
                if most is not None and most < -guardrail.tolerance:
                    return f"{arm} worsens {guardrail.name} by at least {-most:.1%}"
    return ""


def _ship(design: ExperimentDesign, found: Comparison) -> Recommendation:
    effect, span = found.counts, found.counts.at_all_times
    lift = "" if effect.lift is None else f" ({effect.lift:+.1%})"
    sentence = (
        f"Ship {found.arm}: it changes {design.primary.name} by {effect.difference:+.4g}{lift}, surely "
        f"between {span.lower:+.4g} and {span.upper:+.4g}, and is not known to break a guardrail."
    )
    return Recommendation(action="ship", arm=found.arm, sentence=sentence)


def _closed(design: ExperimentDesign, found: Comparison, broken: str) -> str:
    """Return why this arm needs no more users, empty when it does."""
    most = _span(found, design.primary).upper
    if broken:
        return broken
    if most is not None and most < 0.0:
        return f"{found.arm} is surely worse in {design.primary.name}, by at least {-most:.4g}"
    if most is not None and most < design.minimum_effect:
        return (
            f"{found.arm} is better by less than {most:.4g} in {design.primary.name}, "
            f"and {design.minimum_effect:.4g} would matter"
        )
    return ""


def _open(design: ExperimentDesign, n_users: int, of_primary: Sequence[Comparison]) -> Recommendation:
    if n_users >= design.planned_users:
        sentence = (
            f"Keep {design.control}: {n_users:,} users have come, {design.planned_users:,} were planned, and "
            f"no arm is surely better in {design.primary.name}."
        )
        return Recommendation(action="keep control", arm=design.control, sentence=sentence)
    until = max(_needed(design, found, n_users) for found in of_primary)
    sentence = (
        f"Go on until about {until:,} users ({n_users:,} so far): no arm is surely better or worse in "
        f"{design.primary.name}, and a difference of {design.minimum_effect:.4g} may still be there."
    )
    return Recommendation(action="go on", arm=None, sentence=sentence, until_users=until)


def _needed(design: ExperimentDesign, found: Comparison, n_users: int) -> int:
    """Return how many users the minimum effect needs by the spread seen so far; the plan's while unknown."""
    if not found.std or n_users < 100:  # too few to know the spread
        return design.planned_users
    plan = PowerPlan(
        std=found.std,
        n_arms=len(design.treatments),
        control_share=design.arms[design.control],
        alpha=design.alpha,
    )
    needed = users_needed(plan, design.minimum_effect, design.power)
    return _rounded(needed) if needed > n_users else design.planned_users


def _rounded(n: int) -> int:
    """Return ``n`` with two digits: nobody knows more."""
    unit = int(10 ** max(0, floor(log10(n)) - 1))
    return -(-n // unit) * unit


def _span(found: Comparison, metric: Metric) -> Span:
    """Return the effect's interval with better upwards."""
    return found.counts.at_all_times.turned(metric.sign)
