"""Every experiment here has a known truth; 5 standard errors are exceeded once in 1.7 million seeds."""

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from recsys.core.errors import FieldError
from recsys.experiments.analysis import analyse
from recsys.experiments.design import ExperimentDesign, Metric
from recsys.experiments.moments import moments_of
from recsys.experiments.results import Comparison, ExperimentResult, Span
from recsys.experiments.sequential import difference_of_means
from recsys.experiments.tables import NO_LABEL, moments_by_arm

DESIGN = ExperimentDesign(
    name="ranker",
    arms={"control": 0.5, "new": 0.5},
    control="control",
    primary=Metric(name="watches"),
    further=(Metric(name="watch_rate"),),
    guardrails=(Metric(name="skips", better="lower", tolerance=0.05),),
    segments=("country",),
    planned_users=20_000,
    minimum_effect=0.1,
)


def users(
    n: int,
    *,
    seed: int = 1,
    effect: float = 0.0,
    skips: float = 0.0,
    shares: tuple[float, ...] = (0.5, 0.5),
    design: ExperimentDesign = DESIGN,
) -> pl.DataFrame:
    """Draw users of whom arm ``new`` watches ``effect`` more and skips by a share ``skips`` more."""
    rng = np.random.default_rng(seed)
    arm = rng.choice(len(shares), n, p=shares)
    taste = rng.gamma(2.0, 1.0, n)
    shown = 5.0 + rng.poisson(5.0, n)
    before = rng.poisson(taste * 3).astype(np.float64)
    before[rng.random(n) < 0.1] = np.nan
    return pl.DataFrame(
        {
            "arm": np.array(list(design.arms))[arm],
            "watches": rng.poisson(taste) + effect * (arm == 1),
            "watches:before": before,
            "watch_rate": rng.binomial(shown.astype(np.int64), 0.3),
            "watch_rate:of": shown,
            "skips": rng.poisson(4.0 * (1 + skips * (arm == 1))),
            "country": np.where(rng.random(n) < 0.3, "no", "se"),
        }
    ).with_columns(pl.col("watches:before").fill_nan(None))


def comparison(result: ExperimentResult, metric: str, arm: str = "new") -> Comparison:
    return next(c for c in result.comparisons if (c.metric, c.arm) == (metric, arm))


def test_a_better_arm_is_shipped() -> None:
    result = analyse(DESIGN, users(20_000, effect=0.2))
    assert result.recommendation.action == "ship"
    assert result.recommendation.arm == "new"
    assert result.recommendation.sentence.startswith("Ship new: it changes watches by +0.1")
    found = comparison(result, "watches")
    assert found.adjusted is not None
    assert found.variance_removed > 0.2
    raw, adjusted = found.raw.at_all_times, found.adjusted.at_all_times
    assert raw.lower is not None
    assert adjusted.lower is not None
    assert 0.0 < raw.lower < adjusted.lower < 0.2


def test_a_worse_arm_is_left() -> None:
    recommendation = analyse(DESIGN, users(20_000, effect=-0.2)).recommendation
    assert recommendation.action == "keep control"
    assert "new is surely worse in watches" in recommendation.sentence


def test_a_better_arm_that_breaks_a_guardrail_is_left() -> None:
    recommendation = analyse(DESIGN, users(20_000, effect=0.2, skips=0.25)).recommendation
    assert recommendation.action == "keep control"
    assert "new worsens skips by at least" in recommendation.sentence


def test_what_is_open_goes_on() -> None:
    recommendation = analyse(DESIGN, users(1_000)).recommendation
    assert recommendation.action == "go on"
    assert recommendation.until_users is not None
    assert 1_000 < recommendation.until_users < 20_000
    assert f"{recommendation.until_users:,} users (1,000 so far)" in recommendation.sentence


def test_an_effect_too_small_to_matter_ends_it() -> None:
    small = DESIGN.model_copy(update={"minimum_effect": 1.0})
    recommendation = analyse(small, users(5_000)).recommendation
    assert recommendation.action == "keep control"
    assert "1 would matter" in recommendation.sentence


def test_the_planned_users_end_it() -> None:
    short = DESIGN.model_copy(update={"planned_users": 2_000, "minimum_effect": 0.01})
    recommendation = analyse(short, users(2_000)).recommendation
    assert recommendation.action == "keep control"
    assert "2,000 were planned" in recommendation.sentence


def test_badly_dealt_users_get_no_verdict_even_for_a_huge_effect() -> None:
    result = analyse(DESIGN, users(20_000, effect=1.0, shares=(0.53, 0.47)))
    assert not result.sample_ratio.trusted
    assert result.recommendation.action == "do not trust"
    assert "not dealt as declared" in result.recommendation.sentence


def test_less_is_better_where_the_metric_says_so() -> None:
    fewer = DESIGN.model_copy(update={"primary": DESIGN.guardrails[0], "guardrails": ()})
    assert analyse(fewer, users(20_000, skips=-0.2)).recommendation.action == "ship"
    assert analyse(fewer, users(20_000, skips=0.2)).recommendation.action == "keep control"


def test_of_two_better_arms_the_best_is_shipped() -> None:
    design = DESIGN.model_copy(update={"arms": {"control": 0.4, "new": 0.3, "other": 0.3}})
    table = users(30_000, effect=0.5, shares=(0.4, 0.3, 0.3), design=design)
    lifted = table.with_columns(pl.col("watches") + 0.25 * (pl.col("arm") == "other"))
    result = analyse(design, lifted)
    assert result.recommendation.arm == "new"
    assert len(result.comparisons) == 6
    weakest = comparison(result, "skips", "other")
    assert weakest.p_corrected is not None
    assert weakest.raw.p_at_all_times is not None
    assert weakest.p_corrected >= weakest.raw.p_at_all_times


def test_several_arms_share_alpha_and_the_plan_is_of_each_pair() -> None:
    design = DESIGN.model_copy(update={"arms": {"control": 0.4, "new": 0.3, "other": 0.3}})
    table = users(3_000, shares=(0.4, 0.3, 0.3), design=design)
    found = comparison(analyse(design, table), "skips", "other").raw.at_all_times
    arms = [
        moments_of(table.filter(pl.col("arm") == arm)["skips"].to_numpy()) for arm in ("control", "other")
    ]
    expected = difference_of_means(arms[0], arms[1], 0.05 / 2, 20_000 * 0.7)
    assert (found.lower, found.upper) == pytest.approx(tuple(expected))


def test_users_without_a_label_are_a_segment_of_their_own() -> None:
    table = users(400).with_columns(country=pl.when(pl.col("country") == "se").then(pl.col("country")))
    rows = analyse(DESIGN, table).segments
    assert [row.label for row in rows] == [NO_LABEL, "se"]
    assert sum(row.comparison.n_control + row.comparison.n_treatment for row in rows) == 400


def test_a_ratio_is_that_of_the_sums_and_has_no_past_here() -> None:
    table = users(4_000)
    found = comparison(analyse(DESIGN, table), "watch_rate")
    control = table.filter(pl.col("arm") == "control")
    watched, shown = (control[name].to_numpy().sum() for name in ("watch_rate", "watch_rate:of"))
    assert found.raw.control == pytest.approx(watched / shown)
    assert found.adjusted is None
    assert found.variance_removed == 0.0


def test_segments_are_apart_and_corrected_together() -> None:
    table = users(20_000).with_columns(
        pl.when((pl.col("country") == "no") & (pl.col("arm") == "new"))
        .then(pl.col("watches") + 0.6)
        .otherwise(pl.col("watches"))
        .alias("watches")
    )
    rows = {row.label: row for row in analyse(DESIGN, table).segments}
    assert set(rows) == {"no", "se"}
    p = {label: row.comparison.p_corrected for label, row in rows.items()}
    assert p["no"] is not None
    assert p["no"] < 0.001
    assert p["se"] is not None
    assert p["se"] > 0.05
    assert rows["no"].comparison.n_control + rows["se"].comparison.n_control == (
        table.filter(pl.col("arm") == "control").height
    )


def test_the_order_of_users_does_not_matter() -> None:
    table = users(500, effect=0.3)
    forward, backward = analyse(DESIGN, table), analyse(DESIGN, table.reverse())
    assert forward.recommendation == backward.recommendation
    one, other = comparison(forward, "watches").counts, comparison(backward, "watches").counts
    assert one.p_at_all_times == pytest.approx(other.p_at_all_times)


def test_a_result_comes_back_from_json_as_it_went() -> None:
    for n in (0, 1, 2, 300):
        result = analyse(DESIGN, users(n))
        assert ExperimentResult.model_validate_json(result.model_dump_json()) == result


def test_nobody_yet_is_no_error() -> None:
    result = analyse(DESIGN, users(0))
    assert result.recommendation.until_users == 20_000
    assert comparison(result, "watches").raw.at_all_times == Span(lower=None, upper=None)


def test_a_table_that_lacks_a_column_or_knows_another_arm_is_refused() -> None:
    with pytest.raises(FieldError, match="skips"):
        analyse(DESIGN, users(10).drop("skips"))
    with pytest.raises(FieldError, match="country"):
        analyse(DESIGN, users(10).drop("country"))
    with pytest.raises(FieldError, match="likes"):
        moments_by_arm(users(10), Metric(name="likes"), tuple(DESIGN.arms))
    with pytest.raises(FieldError, match="shadow"):
        analyse(DESIGN, users(10).with_columns(arm=pl.lit("shadow")))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"arms": {"control": 0.5, "new": 0.4}}, "arms"),
        ({"arms": {"control": 1.0}}, "two or more"),
        ({"arms": {"control": 1.0, "new": 0.0}}, "above 0"),
        ({"control": "old"}, "none of the arms"),
        ({"further": (Metric(name="watches"),)}, "one role"),
    ],
)
def test_a_design_that_contradicts_itself_is_refused(change: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        ExperimentDesign.model_validate({**DESIGN.model_dump(), **change})
