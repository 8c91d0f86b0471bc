"""Guardrails: what a canary may not do, and how sure one has to be that it did.

They are looked at every few seconds for hours, so every comparison holds at all times at once: a guardrail
speaks up wrongly with a probability of at most ``alpha``, however often it is asked. And as failing takes
evidence, no sample is too small to fail; only passing asks for ``min_sample``.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from math import inf, isnan, sqrt
from typing import Final, Literal, NamedTuple, get_args

from pydantic import Field, PositiveInt, model_validator

from recsys.core.settings import FrozenModel
from recsys.experiments.interleaving import INTERLEAVED, preference_of
from recsys.experiments.measurements import Figures, Latencies, Measurements, Outcomes
from recsys.experiments.moments import Moments
from recsys.experiments.sequential import boundary, difference_of_means, proportion_interval
from recsys.experiments.srm import sequential_p_value
from recsys.experiments.two_proportions import p_difference_above, p_ratio_above

ShareMetric = Literal["error_share", "degraded_share", "empty_share", "short_share"]
LatencyMetric = Literal[
    "answer_p50",
    "answer_p95",
    "answer_p99",
    "recall_p50",
    "recall_p95",
    "recall_p99",
    "ranking_p50",
    "ranking_p95",
    "ranking_p99",
]
RateMetric = Literal["watch_rate", "click_rate", "skip_rate"]
Metric = ShareMetric | LatencyMetric | RateMetric | Literal["coverage", "preference", "sample_ratio"]

_CLOSEST: Final = 2_000
"""Users at which intervals of rates are narrowest; they hold for any number."""

Compare = Literal["value", "difference", "ratio"]

_SHARES: Final[Mapping[str, Callable[[Figures], int]]] = {
    "error_share": lambda figures: figures.errors,
    "degraded_share": lambda figures: figures.degraded,
    "empty_share": lambda figures: figures.empty,
    "short_share": lambda figures: figures.short,
}
_LESS_IS_WORSE: Final = frozenset({"watch_rate", "click_rate", "coverage", "preference"})
_VALUES_ONLY: Final = frozenset({"preference", "sample_ratio"})
"""Metrics that compare the arms already."""
_MORE_IS_WORSE: Final = frozenset({"skip_rate"})
_LATENCIES: Final = frozenset(get_args(LatencyMetric))


class Outcome(StrEnum):
    """What a guardrail says."""

    OK = "ok"
    BAD = "bad"
    UNKNOWN = "unknown"  # too few data, or none: never taken for fine
    SKIPPED = "skipped"  # nobody is left to compare with


class Guardrail(FrozenModel):
    """A limit for the canary."""

    metric: Metric
    """What is watched. Latencies are of the whole answer, or of a stage, in seconds."""
    compare: Compare = "ratio"
    """``value``: the canary's own; ``difference``: canary less stable; ``ratio``: canary by stable."""
    limit: float
    """At most this; of ``watch_rate``, ``click_rate`` and ``coverage`` at least (as a ``difference``: so far
    below). Of ``preference`` at least: which share of what users choose of interleaved lists the canary has
    picked; 0.5 when they like both alike. Of ``sample_ratio``: the p-value below which users were not dealt
    as the shares say."""
    min_sample: PositiveInt = 200
    """With fewer answers (users, for rates and the sample ratio) in either arm it does not pass."""
    alpha: float = Field(default=0.001, gt=0, lt=0.5)
    """How probable a wrong alarm may be, over the whole step and however often one looks. With ten guardrails
    and five steps that is 5 % for a rollout whose canary is exactly as bad as allowed in all of them."""

    @model_validator(mode="after")
    def _possible(self) -> "Guardrail":
        if self.metric in _VALUES_ONLY and self.compare != "value":
            raise ValueError(f'{self.metric} has compare = "value": it compares the arms already')
        if self.compare == "ratio" and self.limit <= 0:
            raise ValueError(f"a ratio is limited by a number above 0, not {self.limit:g}")
        return self

    @property
    def from_records(self) -> bool:
        """Whether it needs exposures and events, and not counters alone."""
        return self.metric not in _SHARES and self.metric not in _LATENCIES


class Verdict(NamedTuple):
    """What a guardrail says, and the numbers behind it."""

    metric: str
    outcome: Outcome
    why: str
    canary: float | None = None
    stable: float | None = None
    n: int = 0  # of the canary


def judge(guardrail: Guardrail, measured: Measurements, canary: str, stable: str) -> Verdict:
    """Return what a guardrail says of arm ``canary``, compared with arm ``stable``."""
    alone = measured.shares.get(stable, 0.0) == 0.0
    if alone and (guardrail.compare != "value" or guardrail.metric == "sample_ratio"):
        return Verdict(guardrail.metric, Outcome.SKIPPED, f"nobody is left in arm {stable} to compare with")
    if guardrail.metric == "preference":
        return _of_preference(guardrail, measured)
    if guardrail.from_records and measured.shares.get(canary, 0.0) == 0.0:
        return Verdict(guardrail.metric, Outcome.SKIPPED, "no user sees it")
    if guardrail.from_records:
        return _of_records(guardrail, measured, canary, stable)
    if measured.figures is None:
        return Verdict(guardrail.metric, Outcome.UNKNOWN, "no fresh measurements")
    of_canary = measured.figures.get(canary, Figures())
    of_stable = measured.figures.get(stable, Figures())
    if guardrail.metric in _SHARES:
        return _of_share(guardrail, of_canary, of_stable)
    return _of_latency(guardrail, of_canary, of_stable)


def _of_share(guardrail: Guardrail, canary: Figures, stable: Figures) -> Verdict:
    count = _SHARES[guardrail.metric]
    own, other = ((count(figures), figures.answers + figures.errors) for figures in (canary, stable))
    n, n_stable = own[1], other[1]
    share, share_stable = (hits / of if of else None for hits, of in (own, other))
    if guardrail.compare == "value":
        p = 0.0 if proportion_interval(*own, guardrail.alpha).lower > guardrail.limit else 1.0
    elif guardrail.compare == "difference":
        p = p_difference_above(other, own, guardrail.limit)
    else:
        p = p_ratio_above(other, own, guardrail.limit)
    if p <= guardrail.alpha:
        against = "" if guardrail.compare == "value" else f", stable {_percent(share_stable)} of {n_stable:,}"
        why = f"{_percent(share)} of {n:,}{against}; allowed {_limit(guardrail)}"
        return Verdict(guardrail.metric, Outcome.BAD, why, share, share_stable, n)
    return _passed(guardrail, share, share_stable, n, n_stable, _percent)


def _of_latency(guardrail: Guardrail, canary: Figures, stable: Figures) -> Verdict:
    """Judge a quantile by the share of the canary that is slower than the limit.

    A quantile q is at most x exactly when at most 1 - q of all are slower than x, and a share has an
    interval that holds at all times. Calls in one batch are alike, so it is a little less sure than it says.
    """
    stage, _, percent = guardrail.metric.rpartition("_p")
    q = int(percent) / 100
    own, other = canary.latency.get(stage, Latencies()), stable.latency.get(stage, Latencies())
    value, value_stable = own.quantile(q), other.quantile(q)
    limit_s = guardrail.limit
    if guardrail.compare != "value":
        if value_stable is None or other.n < guardrail.min_sample:
            return _too_few(guardrail, value, value_stable, own.n, other.n)
        limit_s = value_stable * limit_s if guardrail.compare == "ratio" else value_stable + limit_s
    n_slow = own.n_above(limit_s)
    lower, _ = proportion_interval(n_slow, own.n, guardrail.alpha)
    if lower > 1 - q:
        why = (
            f"{_ms(value)}; {_percent(n_slow / own.n)} of {own.n:,} took more than {_ms(limit_s)}, "
            f"surely above {_percent(lower)}; allowed {_percent(1 - q)}"
        )
        return Verdict(guardrail.metric, Outcome.BAD, why, value, value_stable, own.n)
    return _passed(guardrail, value, value_stable, own.n, other.n, _ms)


def _of_records(guardrail: Guardrail, measured: Measurements, canary: str, stable: str) -> Verdict:
    if measured.outcomes is None:
        return Verdict(guardrail.metric, Outcome.UNKNOWN, "no exposures and events to read")
    if guardrail.metric == "sample_ratio":
        return _of_sample_ratio(guardrail, measured)
    own, other = measured.outcomes.get(canary, Outcomes()), measured.outcomes.get(stable, Outcomes())
    if guardrail.metric == "coverage":
        return _of_coverage(guardrail, own, other)
    return _of_rate(guardrail, own, other)


def _of_coverage(guardrail: Guardrail, own: Outcomes, other: Outcomes) -> Verdict:
    """Judge how many different items equally many lists of both arms show; nobody knows its error."""
    found = own.coverage, other.coverage
    if own.coverage is None or (other.coverage is None and guardrail.compare != "value"):
        return _too_few(guardrail, *found, own.lists, other.lists)
    least = guardrail.limit
    if guardrail.compare != "value" and other.coverage is not None:
        least = other.coverage * least if guardrail.compare == "ratio" else other.coverage - least
    if own.lists >= guardrail.min_sample and own.coverage < least:
        why = f"{_items(own.coverage)}, stable {_items(other.coverage)}; allowed {_limit(guardrail)}"
        return Verdict(guardrail.metric, Outcome.BAD, why, *found, own.lists)
    return _passed(guardrail, *found, own.lists, other.lists, _items)


def _of_rate(guardrail: Guardrail, own: Outcomes, other: Outcomes) -> Verdict:
    """Judge a rate by user, with an interval that holds at all times; a person's lists are alike."""
    canary = own.rates.get(guardrail.metric, Moments())
    stable = other.rates.get(guardrail.metric, Moments())
    found = (_known(canary.ratio), _known(stable.ratio))
    worse = 1.0 if guardrail.metric in _MORE_IS_WORSE else -1.0
    if guardrail.compare == "value":
        half = float(boundary(max(1, canary.n), guardrail.alpha, _CLOSEST))
        half *= sqrt(canary.variance / canary.n) if canary.n > 1 else inf
        excess = worse * (canary.ratio - guardrail.limit) - half
    else:
        factor = guardrail.limit if guardrail.compare == "ratio" else 1.0
        allowed = 0.0 if guardrail.compare == "ratio" else guardrail.limit
        lower, upper = difference_of_means(stable.scaled(factor), canary, guardrail.alpha, _CLOSEST)
        excess = (lower if worse > 0 else -upper) - allowed
    if excess > 0.0:
        why = f"{_percent(found[0])} of {canary.n:,} users, stable {_percent(found[1])} of {stable.n:,}"
        why = f"{why}; allowed {_limit(guardrail)}"
        return Verdict(guardrail.metric, Outcome.BAD, why, *found, canary.n)
    return _passed(guardrail, *found, canary.n, stable.n, _percent)


def _of_preference(guardrail: Guardrail, measured: Measurements) -> Verdict:
    """Judge what users choose of lists in which both take turns."""
    if not measured.interleaved:
        return Verdict(guardrail.metric, Outcome.SKIPPED, "no lists are interleaved")
    if measured.outcomes is None:
        return Verdict(guardrail.metric, Outcome.UNKNOWN, "no exposures and events to read")
    chosen = measured.outcomes.get(INTERLEAVED, Outcomes()).rates.get(guardrail.metric, Moments())
    found = preference_of(chosen, alpha=guardrail.alpha, closest=_CLOSEST)
    if found.upper < guardrail.limit:
        why = f"{_percent(found.share)} of {found.chosen:,.0f} items that {found.users:,} users chose"
        why = f"{why}, surely below {_percent(found.upper)}; allowed {_limit(guardrail)}"
        return Verdict(guardrail.metric, Outcome.BAD, why, found.share, None, found.users)
    return _passed(guardrail, found.share, None, found.users, 0, _percent)


def _of_sample_ratio(guardrail: Guardrail, measured: Measurements) -> Verdict:
    outcomes = measured.outcomes or {}
    dealt = {arm: share for arm, share in measured.shares.items() if share > 0.0}
    counts = [outcomes[arm].users if arm in outcomes else 0 for arm in dealt]
    n = sum(counts)
    if n == 0:
        return Verdict(guardrail.metric, Outcome.UNKNOWN, "no users yet")
    p_value = sequential_p_value(counts, list(dealt.values()))
    found = ", ".join(
        f"{arm} {count:,} of {n:,} ({dealt[arm]:.1%} dealt)" for arm, count in zip(dealt, counts, strict=True)
    )
    if p_value < guardrail.limit:
        return Verdict(guardrail.metric, Outcome.BAD, f"{found}: p = {p_value:.2g}", p_value, None, n)
    outcome = Outcome.OK if n >= guardrail.min_sample else Outcome.UNKNOWN
    return Verdict(guardrail.metric, outcome, f"{found}: p = {p_value:.2g}", p_value, None, n)


def _passed(
    guardrail: Guardrail,
    value: float | None,
    value_stable: float | None,
    n: int,
    n_stable: int,
    shown: Callable[[float | None], str],
) -> Verdict:
    few = n < guardrail.min_sample or (guardrail.compare != "value" and n_stable < guardrail.min_sample)
    if few or value is None:
        return _too_few(guardrail, value, value_stable, n, n_stable)
    against = "" if guardrail.compare == "value" else f", stable {shown(value_stable)}"
    why = f"{shown(value)} of {n:,}{against}; allowed {_limit(guardrail)}"
    return Verdict(guardrail.metric, Outcome.OK, why, value, value_stable, n)


def _too_few(
    guardrail: Guardrail, value: float | None, value_stable: float | None, n: int, n_stable: int
) -> Verdict:
    needed = f"{n:,} in the canary, {n_stable:,} in stable; {guardrail.min_sample:,} needed"
    return Verdict(guardrail.metric, Outcome.UNKNOWN, needed, value, value_stable, n)


def _limit(guardrail: Guardrail) -> str:
    if guardrail.compare == "ratio":
        return f"{guardrail.limit:g} times stable"
    shown = _percent(guardrail.limit)
    if guardrail.metric in _LATENCIES:
        shown = _ms(guardrail.limit)
    elif guardrail.metric == "coverage":
        shown = _items(guardrail.limit)
    away = "below" if guardrail.metric in _LESS_IS_WORSE else "above"
    return shown if guardrail.compare == "value" else f"{shown} {away} stable"


def _known(value: float) -> float | None:
    return None if isnan(value) else value


def _percent(share: float | None) -> str:
    return "nothing" if share is None else f"{share:.2%}"


def _items(n: float | None) -> str:
    return "nothing" if n is None else f"{n:,.0f} different items"


def _ms(seconds: float | None) -> str:
    return "nothing" if seconds is None else f"{seconds * 1e3:.1f} ms"
