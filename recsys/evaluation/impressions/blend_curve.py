"""What weights of targets buy: next items kept against clicks and long views gained.

The blend is a sum, so one training and one look at every answer are enough for as many weights as are asked
about: the ranker and each head score the same items once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import FieldError
from recsys.core.settings import FrozenModel
from recsys.data.impressions import Target
from recsys.data.splits import Split
from recsys.evaluation.answers import targets_of
from recsys.evaluation.cost_curve import Scored, scored
from recsys.evaluation.impressions.judged import GAUC, Judged, Question, judge
from recsys.evaluation.impressions.scoring import score_shown
from recsys.evaluation.impressions.split import ImpressionSplit
from recsys.evaluation.intervals import (
    LEVEL,
    N_RESAMPLES,
    Difference,
    difference_of,
    interval_of,
    resampled_means,
)
from recsys.evaluation.metrics import accuracy
from recsys.evaluation.results import Estimate
from recsys.pipeline.stages import TwoStage
from recsys.ranking.targets import TargetHeads

Weights = Mapping[Target, float]
"""What the log odds of targets are multiplied with; the ranker's score has weight 1."""


class BlendPoint(FrozenModel):
    """One blend."""

    weights: dict[Target, float]
    """Empty: the ranker alone."""
    next_item: Estimate
    """NDCG of the lists by what users chose next."""
    next_item_gained: Estimate
    """Minus that of the ranker alone, over the same users."""
    gauc: dict[Target, Estimate]
    """AUC within a user's impressions, by what was answered to them."""
    gauc_gained: dict[Target, Estimate]
    """Minus that of the ranker alone, over the same users."""


class BlendCurve(FrozenModel):
    """Several blends of one training."""

    data: str
    days: float
    """Held out: the last of those that are looked at."""
    metric: str
    """Of the next item."""
    n_users: int
    """Asked for the next item."""
    n_sessions: int
    """Asked about what was shown."""
    seed: int
    points: list[BlendPoint]
    """The ranker alone comes first."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of the same rows by the ranker and by each head."""

    ranker: NDArray[np.float64]
    odds: Mapping[Target, NDArray[np.float64]]

    def blended(self, weights: Weights) -> NDArray[np.float64]:
        """Return the weighted sum; padding stays -inf."""
        total = self.ranker
        for target, weight in weights.items():
            odds = self.odds[target]
            total = total + weight * np.where(np.isfinite(odds), odds, 0.0)
        return total


def blend_curve(
    model: TwoStage,
    shown: ImpressionSplit,
    split: Split,
    weights: Sequence[Weights],
    *,
    targets: Sequence[Target],
    data: str,
    seed: int,
    n: int = 10,
    n_resamples: int = N_RESAMPLES,
    on_step: Callable[[str, float], None] = lambda _, __: None,
) -> BlendCurve:
    """Ask one model with several weights, and compare each blend with the ranker alone.

    Args:
        model: with a head for every target that has a weight in ``weights``.
        shown: impressions that are asked about.
        split: users who are asked what comes next, at the same cut.
        weights: of the blends; the ranker alone is added in front.
        targets: answers to impressions that blends are judged by.
        data: name of the data set.
        seed: of the bootstrap.
        n: length of the lists.
        n_resamples: bootstrap draws of users.
        on_step: told what is being done.

    Raises:
        FieldError: a target has no head or nobody answered it, or there is nobody to ask.
    """
    heads = model.ranking.heads
    asked = sorted({target for one in weights for target in one})
    for target in asked:
        if heads is None or target not in heads.heads:
            raise FieldError("weights", target.value, "targets that the model has a head for")
    if len(split) == 0:
        raise FieldError("split", "no test user", "at least one user with something held out")
    questions = {target: _question(shown, target) for target in targets}
    blends: list[Weights] = [{}, *weights]

    def of_lists(part: TwoStage, name: str) -> Scored:
        return scored(part, split, partial(on_step, f"{name}: next items"))

    def of_shown(part: TwoStage, name: str) -> NDArray[np.float64]:
        on_share = partial(on_step, f"{name}: impressions")
        return score_shown(part, name, shown.full, shown.test, on_share=on_share)

    ranker = _alone(model, None)
    named = of_lists(ranker, "ranker")
    rows = named.item_rows  # the same whoever scores them
    lists = Scores(
        named.scores.astype(np.float64),
        {one: of_lists(_alone(model, one), one.value).scores.astype(np.float64) for one in asked},
    )
    impressions = Scores(
        of_shown(ranker, "ranker"), {one: of_shown(_alone(model, one), one.value) for one in asked}
    )
    quality = np.stack([_quality(model, split, rows, lists.blended(one), n) for one in blends], axis=1)
    means = resampled_means(quality, seed=seed, n_resamples=n_resamples)
    chosen = ~shown.test.at_random
    judged = [
        {
            target: judge(question, impressions.blended(one)[chosen], seed=seed, n_resamples=n_resamples)
            for target, question in questions.items()
        }
        for one in blends
    ]
    return BlendCurve(
        data=data,
        days=shown.n_days,
        metric=f"ndcg@{n}",
        n_users=len(split),
        n_sessions=shown.test.n_sessions,
        seed=seed,
        points=[
            _point(one, quality.mean(axis=0)[[0, column]], means[:, [0, column]], judged[0], judged[column])
            for column, one in enumerate(blends)
        ],
    )


def curve_table(curve: BlendCurve) -> str:
    """Return the curve as a page in Markdown."""
    targets = list(curve.points[0].gauc)
    named = [f"GAUC of {target.value}" for target in targets]
    lines = [
        f"# {curve.data}: what weights of targets buy",
        "",
        (
            f"{curve.days:g} days: what {curve.n_users:,} users chose next, and {curve.n_sessions:,} "
            "sessions of what users were shown. One training, asked with all weights; the first row is the "
            "ranker alone, the others say what they gain over it. Brackets: "
            f"{LEVEL:.0%} bootstrap intervals over users, seed {curve.seed}."
        ),
        "",
        f"| weights | next item, {curve.metric} | {' | '.join(named)} |",
        f"| --- | ---: |{' ---: |' * len(named)}",
    ]
    first, *others = curve.points
    figures = [f"{first.next_item.value:.4f}", *(f"{first.gauc[target].value:.4f}" for target in targets)]
    lines.append(f"| none | {' | '.join(figures)} |")
    for point in others:
        gained = [point.next_item_gained, *(point.gauc_gained[target] for target in targets)]
        lines.append(f"| {weights_named(point.weights)} | {' | '.join(map(_said, gained))} |")
    return "\n".join(lines) + "\n"


def weights_named(weights: Weights) -> str:
    """Return weights as a line.

    >>> weights_named({Target.CLICK: 0.5, Target.LONG_VIEW: 1.0})
    'click 0.5, long_view 1'
    """
    return ", ".join(f"{target.value} {weight:g}" for target, weight in weights.items()) or "none"


def _alone(model: TwoStage, target: Target | None) -> TwoStage:
    """Return the model with one part of the sum: the ranker, or a head."""
    heads: TargetHeads | None = None
    if target is not None and model.ranking.heads is not None:
        heads = replace(model.ranking.heads, weights={target: 1.0}, next_item_weight=0.0)
    return replace(model, ranking=replace(model.ranking, heads=heads))


def _question(shown: ImpressionSplit, target: Target) -> Question:
    """Return what was answered to what a recommender showed."""
    test = shown.test
    if target not in test.answers:
        raise FieldError("target", target.value, f"one of: {', '.join(test.answers)}")
    chosen = ~test.at_random
    users = np.unique(test.user_of[chosen], return_inverse=True)[1].astype(np.int64)
    question = Question(users, test.surfaces[chosen], test.answers[target][chosen])
    if not question.mixed.any():
        raise FieldError("impressions", "nobody with both answers", "users who chose some of the shown")
    return question


def _quality(
    model: TwoStage, split: Split, rows: NDArray[np.int32], scores: NDArray[np.float64], n: int
) -> NDArray[np.float64]:
    """Return NDCG of each test user's list, shape (tests,)."""
    lists = model.reranking.rerank(rows, scores.astype(np.float32), n).item_rows
    return accuracy(lists, targets_of(split), (n,))[f"ndcg@{n}"]


def _point(
    weights: Weights,
    values: NDArray[np.float64],
    means: NDArray[np.float64],
    alone: Mapping[Target, Judged],
    judged: Mapping[Target, Judged],
) -> BlendPoint:
    """Return one blend against the ranker alone, which is the first column."""
    return BlendPoint(
        weights=dict(weights),
        next_item=_estimate(values[1], means[:, 1]),
        next_item_gained=_gained(difference_of(float(values[1] - values[0]), means[:, 1] - means[:, 0])),
        gauc={target: _estimate(one.values[GAUC], one.resampled[GAUC]) for target, one in judged.items()},
        gauc_gained={
            target: _gained(
                difference_of(
                    one.values[GAUC] - alone[target].values[GAUC],
                    one.resampled[GAUC] - alone[target].resampled[GAUC],
                )
            )
            for target, one in judged.items()
        },
    )


def _estimate(value: float, resampled: NDArray[np.float64]) -> Estimate:
    found = interval_of(float(value), resampled)
    return Estimate(value=found.value, low=found.low, high=found.high)


def _gained(found: Difference) -> Estimate:
    return Estimate(value=found.value, low=found.low, high=found.high)


def _said(gained: Estimate) -> str:
    return f"{gained.value:+.4f} [{gained.low:+.4f}, {gained.high:+.4f}]"
