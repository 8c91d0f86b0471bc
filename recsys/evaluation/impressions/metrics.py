"""How well scores order what was shown. Equal scores are ties: half right in AUC, their mean place in NDCG.

Sources: Fawcett, "An Introduction to ROC Analysis", 2006 (AUC); Zhou et al., "Deep Interest Network for
Click-Through Rate Prediction", KDD 2018 (GAUC); McSherry and Najork, "Computing Information Retrieval
Performance Measures Efficiently in the Presence of Tied Scores", ECIR 2008 (NDCG over all orders of ties).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


class PooledAuc:
    """The chance that a chosen impression is scored above one that was not, of whatever users.

    Sorts once, so that the figure of every resample of users is a matter of sums.
    """

    def __init__(
        self, scores: NDArray[np.float64], chosen: NDArray[np.bool_], users: NDArray[np.int64]
    ) -> None:
        _, self._level = np.unique(scores, return_inverse=True)
        self._n_levels = int(self._level.max(initial=-1)) + 1
        self._chosen = chosen
        self._users = users

    def value(self, weights: NDArray[np.float64] | NDArray[np.int64]) -> float:
        """Return the AUC with each user's impressions counted so often, nan where it compares nothing.

        Args:
            weights: shape (users,).
        """
        weight = weights[self._users].astype(np.float64)
        chosen = np.bincount(self._level, weight * self._chosen, self._n_levels)
        other = np.bincount(self._level, weight * ~self._chosen, self._n_levels)
        n_pairs = chosen.sum() * other.sum()
        right = chosen @ (np.cumsum(other) - other / 2.0)
        return float(right / n_pairs) if n_pairs > 0 else float("nan")

    def values(self, draws: Iterable[NDArray[np.int64]]) -> NDArray[np.float64]:
        """Return the AUC of each draw of users, shape (draws,)."""
        return np.array([self.value(times_drawn) for times_drawn in draws])


@dataclass(frozen=True, slots=True)
class GroupOrder:
    """Impressions group by group, each from the best score to the worst; only :func:`ordered` makes one."""

    order: NDArray[np.intp]  # shape (impressions,), rows of the impressions as they came
    groups: NDArray[np.int64]  # shape (impressions,), never falling
    places: NDArray[np.int64]  # shape (impressions,), 0 is the best of the group; ties in any order
    ties: NDArray[np.int64]  # shape (impressions,), rising numbers; equal within a tie
    n_groups: int

    def over_ties(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return each impression's mean over its tie, shape (impressions,)."""
        sums = np.bincount(self.ties, values)
        mean: NDArray[np.float64] = (sums / np.bincount(self.ties))[self.ties]
        return mean

    def sums(self, values: NDArray[np.float64] | NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the sum over each group, shape (groups,)."""
        return np.bincount(self.groups, values, self.n_groups).astype(np.float64)


def ordered(scores: NDArray[np.float64], groups: NDArray[np.int64], n_groups: int) -> GroupOrder:
    """Sort the impressions of each group by score.

    Args:
        scores: shape (impressions,), finite.
        groups: shape (impressions,), from 0 to ``n_groups - 1``.
        n_groups: how many groups there are; some may be empty.
    """
    order = np.lexsort((-scores, groups))
    of_group, of_score = groups[order], scores[order]
    new_group = np.diff(of_group, prepend=-1) != 0
    places = np.arange(len(order)) - np.maximum.accumulate(np.where(new_group, np.arange(len(order)), 0))
    new_score = np.diff(of_score, prepend=np.nan) != 0
    return GroupOrder(order, of_group, places, np.cumsum(new_group | new_score) - 1, n_groups)


def group_auc(order: GroupOrder, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the AUC within each group, shape (groups,), nan where all or none of it were chosen."""
    hit = chosen[order.order]
    n_chosen, n = order.sums(hit), order.sums(np.ones_like(hit))
    place = order.over_ties(order.places.astype(np.float64))
    above = order.sums(place * hit) - n_chosen * (n_chosen - 1.0) / 2.0  # not chosen, and scored better
    n_pairs = n_chosen * (n - n_chosen)
    wrong: NDArray[np.float64] = np.divide(
        above, n_pairs, out=np.full(order.n_groups, np.nan), where=n_pairs > 0
    )
    return 1.0 - wrong


def group_ndcg(order: GroupOrder, chosen: NDArray[np.bool_], k: int | None = None) -> NDArray[np.float64]:
    """Return the discounted choices over those of the best order, shape (groups,), nan where none was chosen.

    Args:
        order: of the impressions.
        chosen: shape (impressions,), as they came.
        k: only so many places count; all when None.
    """
    hit = chosen[order.order]
    longest = int(order.places.max(initial=-1)) + 1
    worth = 1.0 / np.log2(np.arange(longest) + 2.0)
    if k is not None:
        worth[k:] = 0.0
    gained = order.sums(order.over_ties(worth[order.places]) * hit)
    ideal = np.concatenate([[0.0], np.cumsum(worth)])[order.sums(hit).astype(np.int64)]
    share: NDArray[np.float64] = np.divide(
        gained, ideal, out=np.full(order.n_groups, np.nan), where=ideal > 0
    )
    return share
