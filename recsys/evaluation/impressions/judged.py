"""What one model's scores are worth: five figures, each with the same resamples of users."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.evaluation.impressions.metrics import PooledAuc, group_auc, group_ndcg, ordered
from recsys.evaluation.intervals import draws, resampled_means

AUC = "auc"
GAUC = "gauc"
GAUC_OF_SURFACE = "gauc_of_surface"
NDCG_AT_10 = "ndcg@10"
NDCG = "ndcg"
METRICS = (AUC, GAUC, GAUC_OF_SURFACE, NDCG_AT_10, NDCG)


@dataclass(frozen=True, slots=True)
class Question:
    """Impressions and one yes or no to each of them."""

    users: NDArray[np.int64]  # shape (impressions,), from 0 to n_users - 1, none without impressions
    surfaces: NDArray[np.int64]  # shape (impressions,)
    chosen: NDArray[np.bool_]  # shape (impressions,)

    @property
    def n_users(self) -> int:
        """How many users there are."""
        return int(self.users.max(initial=-1)) + 1

    @property
    def mixed(self) -> NDArray[np.bool_]:
        """Mark users with both answers, shape (users,): only their order can be right or wrong."""
        chosen = np.bincount(self.users, self.chosen, self.n_users)
        return (chosen > 0) & (chosen < np.bincount(self.users, minlength=self.n_users))


@dataclass(frozen=True, slots=True)
class Judged:
    """Each figure of all users, and of every resample of them, shape (n_resamples,)."""

    values: Mapping[str, float]
    resampled: Mapping[str, NDArray[np.float64]]


def judge(question: Question, scores: NDArray[np.float64], *, seed: int, n_resamples: int) -> Judged:
    """Return every figure of :data:`METRICS`.

    All but the pooled AUC are means over users with both answers: the AUC within a user's impressions,
    weighted by their number (and the same within a user's impressions on one surface), and NDCG, every user
    alike.

    Args:
        question: the impressions.
        scores: shape (impressions,), finite.
        seed: of the resamples; equal seeds and users give paired ones.
        n_resamples: how many.
    """
    pooled = PooledAuc(scores, question.chosen, question.users)
    ratios = _ratios(question, scores)
    columns = np.stack([column for pair in ratios.values() for column in pair], axis=1)
    sums = resampled_means(columns, seed=seed, n_resamples=n_resamples)
    values = {AUC: pooled.value(np.ones(question.n_users))}
    resampled = {AUC: pooled.values(draws(question.n_users, seed=seed, n_resamples=n_resamples))}
    for number, (name, (gained, weight)) in enumerate(ratios.items()):
        values[name] = float(gained.sum() / weight.sum()) if weight.any() else float("nan")
        above, below = sums[:, 2 * number], sums[:, 2 * number + 1]
        resampled[name] = np.divide(above, below, out=np.full(len(sums), np.nan), where=below > 0)
    return Judged(values, resampled)


def _ratios(
    question: Question, scores: NDArray[np.float64]
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return what each user adds above and below the line, shape (users,) each."""
    order = ordered(scores, question.users, question.n_users)
    mixed = question.mixed
    n_shown = np.bincount(question.users, minlength=question.n_users)
    return {
        GAUC: _weighted(group_auc(order, question.chosen), n_shown),
        GAUC_OF_SURFACE: _of_surfaces(question, scores),
        NDCG_AT_10: _weighted(group_ndcg(order, question.chosen, 10), mixed),
        NDCG: _weighted(group_ndcg(order, question.chosen), mixed),
    }


def _weighted(
    values: NDArray[np.float64], weights: NDArray[np.int64] | NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return value times weight, and weight; both 0 where there is no value."""
    known = ~np.isnan(values)
    weight = np.where(known, weights, 0).astype(np.float64)
    return np.where(known, values, 0.0) * weight, weight


def _of_surfaces(
    question: Question, scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum over the surfaces of each user: nobody is blamed for not knowing where an item would be shown."""
    pair = question.users * (int(question.surfaces.max(initial=0)) + 1) + question.surfaces
    _, first, groups = np.unique(pair, return_index=True, return_inverse=True)
    order = ordered(scores, groups.astype(np.int64), len(first))
    above, below = _weighted(group_auc(order, question.chosen), np.bincount(groups))
    owner = question.users[first]
    n_users = question.n_users
    return (
        np.bincount(owner, above, n_users).astype(np.float64),
        np.bincount(owner, below, n_users).astype(np.float64),
    )
