import numpy as np
import pytest
from pydantic import ValidationError

from recsys.experiments.guardrails import Compare, Guardrail, Metric, Outcome, judge
from recsys.experiments.measurements import Figures, Latencies, Measurements, Outcomes
from recsys.experiments.moments import moments_of

INF = float("inf")
HALF = {"stable": 0.5, "canary": 0.5}


def measured(canary: Figures, stable: Figures, shares: dict[str, float] | None = None) -> Measurements:
    return Measurements(figures={"canary": canary, "stable": stable}, shares=shares or HALF)


def verdict_of(guardrail: Guardrail, found: Measurements) -> Outcome:
    return judge(guardrail, found, "canary", "stable").outcome


DEGRADED = Guardrail(metric="degraded_share", compare="difference", limit=0.01, min_sample=100)


@pytest.mark.parametrize(
    ("canary", "stable", "outcome"),
    [
        (Figures(answers=1_000, degraded=0), Figures(answers=9_000), Outcome.OK),
        (Figures(answers=1_000, degraded=8), Figures(answers=9_000), Outcome.OK),
        (Figures(answers=1_000, degraded=100), Figures(answers=9_000), Outcome.BAD),
        (Figures(answers=1_000, degraded=100), Figures(answers=9_000, degraded=900), Outcome.OK),
        (Figures(answers=99), Figures(answers=9_000), Outcome.UNKNOWN),
        (Figures(answers=1_000), Figures(answers=99), Outcome.UNKNOWN),
        (Figures(), Figures(), Outcome.UNKNOWN),
        (Figures(answers=20, degraded=20), Figures(answers=9_000), Outcome.BAD),  # no sample is too small
    ],
)
def test_a_share_is_bad_when_it_is_surely_worse(canary: Figures, stable: Figures, outcome: Outcome) -> None:
    assert verdict_of(DEGRADED, measured(canary, stable)) is outcome


def test_errors_are_a_share_of_all_that_were_asked() -> None:
    errors = Guardrail(metric="error_share", compare="value", limit=0.4, min_sample=1)
    verdict = judge(errors, measured(Figures(answers=60, errors=40), Figures()), "canary", "stable")
    assert (verdict.outcome, verdict.canary, verdict.n) == (Outcome.OK, 0.4, 100)


def test_a_ratio_is_compared_with_what_stable_may_be_at_most() -> None:
    ratio = Guardrail(metric="short_share", compare="ratio", limit=2.0, min_sample=100)
    stable = Figures(answers=10_000, short=500)
    assert verdict_of(ratio, measured(Figures(answers=2_000, short=150), stable)) is Outcome.OK
    assert verdict_of(ratio, measured(Figures(answers=2_000, short=400), stable)) is Outcome.BAD


def timed(n: int, slow: int) -> Figures:
    edges = (0.01, 0.02, 0.1, 1.0, INF)
    return Figures(
        answers=n, latency={"answer": Latencies(edges, (n - slow, n - slow, n - slow, float(n), float(n)))}
    )


def test_a_latency_is_bad_when_too_many_are_slower_than_it_may_be() -> None:
    p95 = Guardrail(metric="answer_p95", compare="ratio", limit=2.0, min_sample=100)
    assert verdict_of(p95, measured(timed(1_000, 20), timed(9_000, 180))) is Outcome.OK
    assert verdict_of(p95, measured(timed(1_000, 150), timed(9_000, 180))) is Outcome.BAD
    assert verdict_of(p95, measured(timed(20, 20), timed(9_000, 180))) is Outcome.BAD
    assert verdict_of(p95, measured(timed(90, 2), timed(9_000, 180))) is Outcome.UNKNOWN
    assert verdict_of(p95, measured(timed(1_000, 150), timed(90, 2))) is Outcome.UNKNOWN


def test_a_latency_of_its_own_needs_no_stable_arm() -> None:
    p50 = Guardrail(metric="answer_p50", compare="value", limit=0.05, min_sample=100)
    found = measured(timed(1_000, 800), Figures(), {"stable": 0.0, "canary": 1.0})
    assert verdict_of(p50, found) is Outcome.BAD


def test_a_stage_that_was_never_timed_is_unknown() -> None:
    p99 = Guardrail(metric="recall_p99", compare="value", limit=0.05, min_sample=1)
    assert verdict_of(p99, measured(timed(1_000, 0), timed(1_000, 0))) is Outcome.UNKNOWN


def test_without_anybody_in_the_stable_arm_comparisons_are_skipped() -> None:
    found = measured(Figures(answers=1_000, degraded=900), Figures(), {"stable": 0.0, "canary": 1.0})
    assert verdict_of(DEGRADED, found) is Outcome.SKIPPED
    own = DEGRADED.model_copy(update={"compare": "value"})
    assert verdict_of(own, found) is Outcome.BAD


def test_what_no_user_sees_has_no_users_to_judge_by() -> None:
    guardrail = Guardrail(metric="sample_ratio", compare="value", limit=0.001)
    found = Measurements(outcomes={}, shares={"stable": 1.0, "canary": 0.0})
    assert verdict_of(guardrail, found) is Outcome.SKIPPED


def test_no_measurements_are_never_fine() -> None:
    verdict = judge(DEGRADED, Measurements(shares=HALF), "canary", "stable")
    assert (verdict.outcome, verdict.why) == (Outcome.UNKNOWN, "no fresh measurements")


@pytest.mark.parametrize(
    ("canary", "outcome"), [(5_000, Outcome.OK), (5_500, Outcome.BAD), (50, Outcome.BAD)]
)
def test_users_who_were_not_dealt_as_the_shares_say_raise_the_alarm(canary: int, outcome: Outcome) -> None:
    guardrail = Guardrail(metric="sample_ratio", compare="value", limit=0.001, min_sample=1_000)
    outcomes = {"stable": Outcomes(users=5_000), "canary": Outcomes(users=canary)}
    assert verdict_of(guardrail, Measurements(outcomes=outcomes, shares=HALF)) is outcome


def test_the_sample_ratio_waits_for_users() -> None:
    guardrail = Guardrail(metric="sample_ratio", compare="value", limit=0.001, min_sample=1_000)
    few = {"stable": Outcomes(users=50), "canary": Outcomes(users=60)}
    assert verdict_of(guardrail, Measurements(outcomes=few, shares=HALF)) is Outcome.UNKNOWN
    assert verdict_of(guardrail, Measurements(outcomes={}, shares=HALF)) is Outcome.UNKNOWN
    assert verdict_of(guardrail, Measurements(shares=HALF)) is Outcome.UNKNOWN


def rated(metric: str, canary: float, stable: float, n: int = 1_000) -> Measurements:
    """Return users of whom each met ten items, and reacted to so large a share of them."""
    rng = np.random.default_rng(0)
    outcomes = {
        arm: Outcomes(
            users=n, lists=n, rates={metric: moments_of(rng.binomial(10, rate, size=n), np.full(n, 10.0))}
        )
        for arm, rate in (("canary", canary), ("stable", stable))
    }
    return Measurements(outcomes=outcomes, shares=HALF)


@pytest.mark.parametrize(
    ("metric", "compare", "limit", "canary", "stable", "outcome"),
    [
        ("watch_rate", "ratio", 0.95, 0.3, 0.3, Outcome.OK),
        ("watch_rate", "ratio", 0.95, 0.2, 0.3, Outcome.BAD),
        ("watch_rate", "ratio", 0.95, 0.4, 0.3, Outcome.OK),
        ("watch_rate", "difference", 0.05, 0.2, 0.3, Outcome.BAD),
        ("watch_rate", "difference", 0.2, 0.2, 0.3, Outcome.OK),
        ("watch_rate", "value", 0.25, 0.2, 0.3, Outcome.BAD),
        ("watch_rate", "value", 0.15, 0.2, 0.3, Outcome.OK),
        ("skip_rate", "ratio", 1.1, 0.4, 0.3, Outcome.BAD),
        ("skip_rate", "ratio", 1.1, 0.2, 0.3, Outcome.OK),
        ("skip_rate", "difference", 0.05, 0.4, 0.3, Outcome.BAD),
        ("skip_rate", "value", 0.3, 0.4, 0.3, Outcome.BAD),
    ],
)
def test_a_rate_is_judged_by_user_and_in_its_own_direction(
    metric: Metric, compare: Compare, limit: float, canary: float, stable: float, outcome: Outcome
) -> None:
    guardrail = Guardrail(metric=metric, compare=compare, limit=limit)
    assert verdict_of(guardrail, rated(metric, canary, stable)) is outcome


def test_a_rate_of_users_who_were_shown_nothing_is_unknown() -> None:
    nothing = moments_of(np.zeros(500), np.zeros(500))
    own = Guardrail(metric="watch_rate", compare="value", limit=0.2)
    outcomes = {arm: Outcomes(users=500, lists=500, rates={"watch_rate": nothing}) for arm in HALF}
    for guardrail in (own, Guardrail(metric="watch_rate", limit=0.95)):
        assert verdict_of(guardrail, Measurements(outcomes=outcomes, shares=HALF)) is Outcome.UNKNOWN


def test_a_rate_of_too_few_users_is_unknown() -> None:
    guardrail = Guardrail(metric="watch_rate", limit=0.95)
    assert verdict_of(guardrail, rated("watch_rate", 0.3, 0.3, n=100)) is Outcome.UNKNOWN
    assert verdict_of(guardrail, Measurements(outcomes={}, shares=HALF)) is Outcome.UNKNOWN
    own = Guardrail(metric="watch_rate", compare="value", limit=0.2)
    assert verdict_of(own, Measurements(outcomes={}, shares=HALF)) is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("compare", "limit", "outcome"),
    [
        ("ratio", 0.5, Outcome.OK),
        ("ratio", 0.8, Outcome.BAD),
        ("difference", 0.1, Outcome.BAD),
        ("difference", 0.3, Outcome.OK),
        ("value", 0.4, Outcome.BAD),
        ("value", 0.2, Outcome.OK),
    ],
)
def test_coverage_is_that_of_equally_many_lists(compare: Compare, limit: float, outcome: Outcome) -> None:
    guardrail = Guardrail(metric="coverage", compare=compare, limit=limit)
    outcomes = {"canary": Outcomes(lists=500, coverage=0.3), "stable": Outcomes(lists=900, coverage=0.5)}
    assert verdict_of(guardrail, Measurements(outcomes=outcomes, shares=HALF)) is outcome
    assert verdict_of(guardrail, Measurements(outcomes={}, shares=HALF)) is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"metric": "sample_ratio", "limit": 0.01}, "compares the arms already"),
        ({"metric": "answer_p95", "limit": 0.0}, "a number above 0"),
        ({"metric": "happiness", "limit": 1.0}, "metric"),
        ({"metric": "answer_p95", "limit": 1.0, "alpha": 0.9}, "alpha"),
        ({"metric": "answer_p95", "limit": 1.0, "threshold": 2.0}, "threshold"),
    ],
)
def test_a_guardrail_that_makes_no_sense_cannot_be_written(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Guardrail.model_validate(fields)


@pytest.mark.slow
def test_a_canary_as_good_as_stable_is_rarely_blamed_however_often_one_looks() -> None:
    rng = np.random.default_rng(0)
    guardrail = DEGRADED.model_copy(update={"limit": 0.0, "alpha": 0.05, "min_sample": 1})
    blamed = 0
    for _ in range(400):
        canary, stable = (np.cumsum(rng.binomial(50, 0.02, size=60)) for _ in range(2))
        blamed += any(
            verdict_of(
                guardrail,
                measured(
                    Figures(answers=50 * (look + 1), degraded=int(canary[look])),
                    Figures(answers=50 * (look + 1), degraded=int(stable[look])),
                ),
            )
            is Outcome.BAD
            for look in range(60)
        )
    assert blamed <= 32  # at most 5 % of 400 = 20 are expected: odds below 1 %
