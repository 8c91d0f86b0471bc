import pytest

from recsys.evaluation.findings import findings
from recsys.evaluation.results import Estimate, GroupResult, PairedDifference, Row, Skipped


def row(model: str, untied: GroupResult | None = None) -> Row:
    return Row(
        model=model,
        metrics={"ndcg@10": Estimate(value=0.5, low=0.4, high=0.6)},
        exposure={},
        buckets={},
        cold=None,
        untied=untied,
        fit_s=1.0,
        peak_mb=100.0,
        peak_is_of_fit=True,
        answer_s=1.0,
    )


def pair(
    against: str, low: float, high: float, group: str = "all", metric: str = "ndcg@10"
) -> PairedDifference:
    return PairedDifference(
        model="two-stage",
        against=against,
        metric=metric,
        group=group,
        n_users=100,
        value=(low + high) / 2,
        low=low,
        high=high,
        p=0.5,
        significant=low > 0.0 or high < 0.0,
    )


BOTH = [row("two-stage"), row("ease")]


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (
            0.02,
            0.04,
            "two-stage beats ease significantly on NDCG@10; the smallest sure lead is over ease (+0.0300",
        ),
        (-0.01, 0.05, "two-stage does NOT beat ease (+0.0200 [-0.0100, +0.0500]) significantly on NDCG@10"),
        (-0.05, -0.03, "two-stage is significantly WORSE than ease (-0.0400"),
    ],
)
def test_the_interval_decides_the_words(low: float, high: float, words: str) -> None:
    (sentence,) = findings(BOTH, [], [pair("ease", low, high)])
    assert sentence.startswith(words)


def test_a_defeat_is_said_before_a_victory() -> None:
    said = findings(BOTH, [], [pair("popularity", 0.1, 0.2), pair("ease", -0.2, -0.1)])
    assert ["WORSE than ease" in said[0], "beats popularity" in said[1]] == [True, True]


def test_the_lead_that_is_told_is_the_smallest() -> None:
    (sentence,) = findings(BOTH, [], [pair("popularity", 0.1, 0.2), pair("ease", 0.01, 0.5)])
    assert "beats popularity, ease significantly" in sentence
    assert "smallest sure lead is over ease" in sentence


def test_a_group_is_named_only_where_it_is_not_won() -> None:
    said = findings(
        BOTH, [], [pair("ease", 0.1, 0.2), pair("ease", -0.1, 0.2, "1-5"), pair("ease", 0.1, 0.2, ">100")]
    )
    assert len(said) == 2
    assert "a history of 1-5 (100 users) two-stage does NOT significantly beat ease" in said[1]


def test_of_a_group_of_a_handful_it_is_said_that_they_are_too_few() -> None:
    few = pair("ease", -0.1, 0.2, "1-5").model_copy(update={"n_users": 19})
    said = findings(BOTH, [], [pair("ease", 0.1, 0.2), few])
    assert said[1] == "For users with a history of 1-5 nothing can be said: they are 19, too few."


def test_users_without_history_are_named_as_such() -> None:
    said = findings(BOTH, [], [pair("ease", 0.1, 0.2), pair("ease", -0.3, -0.2, "cold")])
    assert said[1].startswith("For users without history (100 users) two-stage is significantly WORSE than")


def test_other_metrics_are_not_spoken_of() -> None:
    said = findings(BOTH, [], [pair("ease", 0.1, 0.2), pair("ease", -0.3, -0.2, metric="recall@10")])
    assert len(said) == 1


def test_what_ties_in_time_give_away_is_told() -> None:
    untied = GroupResult(n_users=70, metrics={"ndcg@10": Estimate(value=0.3, low=0.2, high=0.4)})
    said = findings([row("two-stage", untied), row("ease")], [], [pair("ease", 0.1, 0.2)])
    assert "over the other 70 two-stage has NDCG@10 0.3000 [0.2000, 0.4000], over all 0.5000" in said[1]


def test_a_missing_pipeline_and_a_skipped_model_are_said() -> None:
    said = findings([row("popularity")], [Skipped(model="ease", why="too large")], [])
    assert said == [
        "ease was skipped: too large.",
        "two-stage was not evaluated, so nothing is compared with it.",
    ]
    assert findings([row("two-stage")], [], []) == [
        "two-stage was evaluated alone, so nothing is compared with it."
    ]
