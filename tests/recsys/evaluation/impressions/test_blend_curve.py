import numpy as np

from recsys.data.impressions import Target
from recsys.evaluation.impressions.blend_curve import (
    BlendCurve,
    BlendPoint,
    Scores,
    curve_table,
    weights_named,
)
from recsys.evaluation.results import Estimate


def estimate(value: float) -> Estimate:
    return Estimate(value=value, low=value - 0.1, high=value + 0.1)


def point(weights: dict[Target, float], next_item: float, gauc: float) -> BlendPoint:
    return BlendPoint(
        weights=weights,
        next_item=estimate(next_item),
        next_item_gained=estimate(next_item - 0.5),
        gauc={Target.CLICK: estimate(gauc)},
        gauc_gained={Target.CLICK: estimate(gauc - 0.6)},
    )


def test_the_blend_is_the_weighted_sum_and_padding_stays_last() -> None:
    ranker = np.array([[1.0, 2.0, -np.inf]])
    odds = {Target.CLICK: np.array([[3.0, -1.0, -np.inf]]), Target.LIKE: np.array([[1.0, 1.0, -np.inf]])}
    scores = Scores(ranker, odds)
    assert scores.blended({}).tolist() == ranker.tolist()
    assert scores.blended({Target.CLICK: 0.5, Target.LIKE: 2.0}).tolist() == [[4.5, 3.5, -np.inf]]


def test_the_table_says_what_the_ranker_is_worth_and_what_blends_gain() -> None:
    curve = BlendCurve(
        data="d",
        days=3.0,
        metric="ndcg@10",
        n_users=10,
        n_sessions=20,
        seed=0,
        points=[point({}, 0.5, 0.6), point({Target.CLICK: 1.0, Target.LIKE: 0.25}, 0.25, 0.75)],
    )
    rows = [line for line in curve_table(curve).splitlines() if line.startswith("| ")]
    assert rows == [
        "| weights | next item, ndcg@10 | GAUC of click |",
        "| --- | ---: | ---: |",
        "| none | 0.5000 | 0.6000 |",
        "| click 1, like 0.25 | -0.2500 [-0.3500, -0.1500] | +0.1500 [+0.0500, +0.2500] |",
    ]


def test_no_weights_have_a_name() -> None:
    assert weights_named({}) == "none"
