"""How much quality is kept when lists may cost less: the price is found on some users, judged on others."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import FieldError
from recsys.core.settings import FrozenModel
from recsys.data.log import InteractionLog
from recsys.data.splits import Split
from recsys.evaluation.answers import targets_of
from recsys.evaluation.intervals import LEVEL, N_RESAMPLES, resampled_means
from recsys.evaluation.metrics import accuracy
from recsys.evaluation.results import Estimate
from recsys.features.users import batch_at
from recsys.pipeline.stages import TwoStage
from recsys.reranking.cost import best_rows, least_cost, mean_cost, priced, weight_for_budget

SAVED = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
_BATCH_USERS = 256
_COST_SPREAD = 0.8  # of the logarithm
_COST_PER_FAME = 0.3


class CurvePoint(FrozenModel):
    """Lists under one budget."""

    wanted: float
    """Share of the cost that was to be saved."""
    weight: float
    """Score given up per unit of cost, as found on the first half of the users."""
    saved: float
    """Share of the cost that was saved, on the other half."""
    cost: float
    """Of a list, on average."""
    quality: Estimate
    kept: Estimate
    """Quality by that of lists that look at no cost, over the same users."""


class CostCurve(FrozenModel):
    """Quality kept against cost saved."""

    data: str
    costs: str
    """Where they are from."""
    metric: str
    n_priced_users: int
    """The price was found on their lists."""
    n_judged_users: int
    list_length: int
    seed: int
    points: list[CurvePoint]


@dataclass(frozen=True, slots=True)
class Scored:
    """Candidates of test users with their scores."""

    item_rows: NDArray[np.int32]  # shape (users, candidates)
    scores: NDArray[np.float32]  # same shape


def scored(model: TwoStage, split: Split, on_share: Callable[[float], None] = lambda _: None) -> Scored:
    """Ask a model about every test user, without making lists of it."""
    rows, scores = [], []
    for start in range(0, len(split), _BATCH_USERS):
        part = slice(start, start + _BATCH_USERS)
        users = batch_at(split.full, split.test_users[part], split.test_stops[part], split.now_s[part])
        candidates = model.candidates(users)
        rows.append(candidates.item_rows)
        scores.append(model.ranking.rank(users, candidates))
        on_share(min(1.0, (start + _BATCH_USERS) / len(split)))
    return Scored(np.concatenate(rows), np.concatenate(scores))


def made_up_costs(log: InteractionLog, *, seed: int) -> NDArray[np.float32]:
    """Draw a cost per play for every item: log-normal, dearer where it is popular. No data set has any.

    An item at the mean of log(1 + interactions) costs 1 in the median; each e-fold costs 35 % more.
    """
    fame = np.log1p(np.bincount(log.item_rows, minlength=log.n_items))
    noise = np.random.default_rng([seed, 29]).normal(0.0, _COST_SPREAD, log.n_items)
    costs: NDArray[np.float32] = np.exp(_COST_PER_FAME * (fame - fame.mean()) + noise).astype(np.float32)
    return costs


def cost_curve(
    asked: Scored,
    split: Split,
    costs: NDArray[np.float32],
    *,
    data: str,
    costs_from: str,
    saved: tuple[float, ...] = SAVED,
    n: int = 10,
    seed: int = 0,
) -> CostCurve:
    """Find the price of every saving on a random half of the users, and judge it on the other half.

    Args:
        asked: candidates and scores of the split's test users.
        split: who was right.
        costs: shape (items,), per play.
        data: name of the data set.
        costs_from: says where the costs are from.
        saved: shares of the cost that are to be saved; the first is 0. Those beyond the cheapest lists that
            the candidates allow are left out.
        n: length of the lists.
        seed: of the halves and the bootstrap.

    Raises:
        FieldError: fewer than four users, or ``saved`` does not begin with 0.
    """
    if len(split) < 4 or saved[:1] != (0.0,):
        raise FieldError("split", f"{len(split)} users, savings {saved}", "4 users or more, and 0 first")
    order = np.random.default_rng([seed, 31]).permutation(len(split))
    past, later = order[: len(order) // 2], np.sort(order[len(order) // 2 :])
    rows, scores = asked.item_rows[past], asked.scores[past]
    cost_before = mean_cost(rows, scores, costs, n, 0.0)
    reach = 1.0 - 1.01 * least_cost(rows, scores, costs, n) / cost_before  # at the very end weights explode
    saved = tuple(share for share in saved if share <= max(0.0, reach))
    weights = [weight_for_budget(rows, scores, costs, n, (1.0 - share) * cost_before) for share in saved]
    lists = [_lists(asked, later, costs, n, weight) for weight in weights]
    quality = np.stack([_quality(shown, split, later, n) for shown in lists], axis=1)
    means = resampled_means(quality, seed=seed, n_resamples=N_RESAMPLES)
    before = float(_list_costs(lists[0], costs).mean())
    points = [
        CurvePoint(
            wanted=share,
            weight=weight,
            saved=1.0 - float(_list_costs(shown, costs).mean()) / before,
            cost=float(_list_costs(shown, costs).mean()),
            quality=_estimate(float(quality[:, column].mean()), means[:, column]),
            kept=_estimate(
                float(quality[:, column].mean() / quality[:, 0].mean()), means[:, column] / means[:, 0]
            ),
        )
        for column, (share, weight, shown) in enumerate(zip(saved, weights, lists, strict=True))
    ]
    return CostCurve(
        data=data,
        costs=costs_from,
        metric=f"ndcg@{n}",
        n_priced_users=len(past),
        n_judged_users=len(later),
        list_length=n,
        seed=seed,
        points=points,
    )


def curve_table(curve: CostCurve) -> str:
    """Return the curve as a page in Markdown."""
    lines = [
        f"# {curve.data}: quality kept against cost saved",
        "",
        (
            f"Costs: {curve.costs}. Lists of {curve.list_length}. The weight was found on the lists of "
            f"{curve.n_priced_users:,} users and judged on {curve.n_judged_users:,} others; brackets: "
            f"{LEVEL:.0%} bootstrap intervals over those, seed {curve.seed}."
        ),
        "",
        f"| to be saved | weight | saved | cost of a list | {curve.metric} | kept |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {point.wanted:.0%} | {point.weight:.4g} | {point.saved:.1%} | {point.cost:.2f} "
        f"| {_said(point.quality, '.4f')} | {_said(point.kept, '.1%')} |"
        for point in curve.points
    ]
    return "\n".join(lines) + "\n"


def _said(found: Estimate, form: str) -> str:
    return f"{found.value:{form}} [{found.low:{form}}, {found.high:{form}}]"


def _lists(
    asked: Scored, users: NDArray[np.intp], costs: NDArray[np.float32], n: int, weight: float
) -> NDArray[np.int32]:
    rows = asked.item_rows[users]
    return best_rows(rows, priced(rows, asked.scores[users], costs, weight), n)


def _list_costs(shown: NDArray[np.int32], costs: NDArray[np.float32]) -> NDArray[np.float64]:
    of_list: NDArray[np.float64] = np.where(shown >= 0, costs[shown], 0.0).sum(axis=1, dtype=np.float64)
    return of_list


def _quality(shown: NDArray[np.int32], split: Split, users: NDArray[np.intp], n: int) -> NDArray[np.float64]:
    """Return NDCG of each of some users, whose numbers rise."""
    everybody = np.full((len(split), n), -1, dtype=np.int32)
    everybody[users, : shown.shape[1]] = shown
    return accuracy(everybody, targets_of(split), (n,))[f"ndcg@{n}"][users]


def _estimate(value: float, draws: NDArray[np.float64]) -> Estimate:
    tail = (1.0 - LEVEL) / 2.0
    low, high = np.quantile(draws, [tail, 1.0 - tail])
    return Estimate(value=value, low=float(low), high=float(high))
