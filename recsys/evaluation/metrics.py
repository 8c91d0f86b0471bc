"""Accuracy of ranked lists: one number per user, larger is better, always in [0, 1].

A list is a row of a matrix of item rows, best first, padded with NO_ITEM; the items a user went on to choose
(the targets) are ragged. Everything follows from :func:`hits`, which marks the places that hold a target.

Source: Järvelin and Kekäläinen, "Cumulated Gain-based Evaluation of IR Techniques", TOIS 2002 (NDCG).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import ShapeError
from recsys.features.users import NO_ITEM


@dataclass(frozen=True, slots=True)
class Targets:
    """What each user went on to choose: user ``u`` rows[offsets[u]:offsets[u + 1]], no item twice."""

    offsets: NDArray[np.int64]  # shape (users + 1,)
    rows: NDArray[np.int32]  # shape (offsets[-1],)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> NDArray[np.int64]:
        """Targets per user, shape (users,)."""
        return np.diff(self.offsets)

    def slice(self, start: int, stop: int) -> "Targets":
        """Return the targets of users ``start`` to ``stop``."""
        offsets = self.offsets[start : stop + 1]
        return Targets(offsets - offsets[0], self.rows[offsets[0] : offsets[-1]])


def hits(item_rows: NDArray[np.int32], targets: Targets) -> NDArray[np.bool_]:
    """Mark the places of each list that hold a target.

    Args:
        item_rows: shape (users, k), no item twice in a row, NO_ITEM where the list is short.
        targets: of the same users.

    Returns:
        shape (users, k).

    Raises:
        ShapeError: lists and targets are not of equally many users.
    """
    if len(item_rows) != len(targets):
        raise ShapeError("item_rows", (len(targets), item_rows.shape[1]), item_rows.shape)
    width = 1 + int(max(item_rows.max(initial=NO_ITEM), targets.rows.max(initial=NO_ITEM)))
    users = np.arange(len(targets), dtype=np.int64)
    shown = users[:, None] * width + item_rows
    wanted = np.repeat(users, targets.counts) * width + targets.rows
    marked: NDArray[np.bool_] = np.isin(shown, wanted) & (item_rows != NO_ITEM)
    return marked


def recall(hit: NDArray[np.bool_], n_targets: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """Return hits in the first ``k`` places over *all* targets of the user, shape (users,).

    With one target it equals :func:`hit_rate`. With more than ``k`` targets it cannot reach 1.
    """
    return _over(hit[:, :k].sum(axis=1), n_targets)


def hit_rate(hit: NDArray[np.bool_], k: int) -> NDArray[np.float64]:
    """Return 1.0 for each user with a hit in the first ``k`` places, else 0.0."""
    return np.asarray(hit[:, :k].any(axis=1), dtype=np.float64)


def ndcg(hit: NDArray[np.bool_], n_targets: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """Return the discounted hits over those of an ideal list of length ``k``, shape (users,).

    A hit in place ``i`` (0 is best) is worth 1 / log2(i + 2); the ideal list has min(k, targets) first.
    """
    worth = 1.0 / np.log2(np.arange(k) + 2.0)
    ideal = np.concatenate([[0.0], np.cumsum(worth)])[np.minimum(n_targets, k)]
    return _over(hit[:, :k] @ worth[: hit.shape[1]], ideal)


def reciprocal_rank(hit: NDArray[np.bool_], k: int) -> NDArray[np.float64]:
    """Return 1 / place (1 is best) of the first hit in the first ``k`` places, 0.0 without one.

    Its mean over users is MRR@k.
    """
    first = hit[:, :k].argmax(axis=1) + 1.0 if hit[:, :k].size else np.ones(len(hit))
    return hit_rate(hit, k) / first


def accuracy(
    item_rows: NDArray[np.int32], targets: Targets, ks: tuple[int, ...]
) -> dict[str, NDArray[np.float64]]:
    """Return every metric of this file at every cut, named ``ndcg@10`` and so on, each of shape (users,)."""
    hit, n_targets = hits(item_rows, targets), targets.counts
    values: dict[str, NDArray[np.float64]] = {}
    for k in ks:
        values[f"ndcg@{k}"] = ndcg(hit, n_targets, k)
        values[f"recall@{k}"] = recall(hit, n_targets, k)
        values[f"mrr@{k}"] = reciprocal_rank(hit, k)
        values[f"hit@{k}"] = hit_rate(hit, k)
    return values


def _over(
    part: NDArray[np.float64] | NDArray[np.int64], whole: NDArray[np.float64] | NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return part / whole, 0.0 where the whole is zero (a user without targets)."""
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)
