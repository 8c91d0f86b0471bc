"""What every recall source can do. A source names candidates; the blend merges the sources."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recsys.features.users import NO_ITEM, UserBatch
from recsys.registry.bundle import BundleWriter


@dataclass(frozen=True, slots=True)
class Ranked:
    """Items named for each user, best first; short rows are padded with NO_ITEM and -inf."""

    item_rows: NDArray[np.int32]  # shape (users, n)
    scores: NDArray[np.float32]  # shape (users, n), falling


class RecallSource(Protocol):
    """One way of naming candidates, fitted and complete."""

    @property
    def name(self) -> str:
        """The name that answers, features and reports use, for example ``sequential``."""
        ...

    def search(self, users: UserBatch, n: int, blocked: NDArray[np.bool_]) -> Ranked:
        """Name up to ``n`` items for each user, best first.

        Args:
            users: who asks.
            n: how many to name at most.
            blocked: shape (users, items), True where the item must not be named.

        Returns:
            No blocked item, none twice, and none of which the source knows nothing for this user.
        """
        ...

    def score(self, users: UserBatch, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Score given items for each user, shape (users, items).

        Finite; 0.0 where nothing is known and where ``item_rows`` is padded with NO_ITEM.
        """
        ...

    def save(self, writer: BundleWriter) -> None:
        """Write every part under ``recall/<name>/``; the class's ``load(reader)`` reads them back."""
        ...


def first_allowed(
    item_rows: NDArray[np.int32],
    scores: NDArray[np.float32],
    blocked: NDArray[np.bool_],
    n: int,
) -> Ranked:
    """Keep the first ``n`` items of each row that are neither blocked nor padding, in their order.

    Args:
        item_rows: shape (users, k), NO_ITEM where padded, best first.
        scores: same shape.
        blocked: shape (users, items).
        n: how many to keep; shorter rows come back padded.
    """
    users = np.arange(len(item_rows))[:, None]
    keep = (item_rows >= 0) & ~blocked[users, item_rows]
    order = np.argsort(~keep, axis=1, kind="stable")[:, :n]
    kept = np.take_along_axis(keep, order, axis=1)
    rows = np.where(kept, np.take_along_axis(item_rows, order, axis=1), NO_ITEM)
    best = np.where(kept, np.take_along_axis(scores, order, axis=1), -np.inf)
    if rows.shape[1] < n:
        short = ((0, 0), (0, n - rows.shape[1]))
        rows = np.pad(rows, short, constant_values=NO_ITEM)
        best = np.pad(best, short, constant_values=-np.inf)
    return Ranked(rows.astype(np.int32), best.astype(np.float32))


def top_of_dense(scores: NDArray[np.float32], blocked: NDArray[np.bool_], n: int) -> Ranked:
    """Return the ``n`` best items of a score table with positive scores; items at 0 are unknown.

    Args:
        scores: shape (users, items); 0.0 means that nothing is known.
        blocked: same shape.
        n: how many to keep.
    """
    open_scores = np.where(blocked, np.float32(0.0), scores)
    best = _largest(open_scores, min(n, scores.shape[1]))
    found = np.take_along_axis(open_scores, best, axis=1)
    order = np.lexsort((best, -found), axis=1)  # ties broken by row, so runs agree
    rows = np.take_along_axis(best, order, axis=1)
    found = np.take_along_axis(found, order, axis=1)
    return first_allowed(np.where(found > 0, rows, NO_ITEM).astype(np.int32), found, blocked, n)


def _largest(scores: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """Return the columns of the ``k`` largest scores of each row, unordered; of ties, the first columns."""
    if k >= scores.shape[1]:
        return np.broadcast_to(np.arange(k), (len(scores), k))
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    found = np.take_along_axis(scores, best, axis=1)
    least = found.min(axis=1, keepdims=True)
    n_tied = np.count_nonzero(scores == least, axis=1)
    cut = (n_tied > np.count_nonzero(found == least, axis=1)) & (least[:, 0] > 0)
    for row in np.flatnonzero(cut):  # a partition takes any of the ties: it differs between processors
        best[row] = np.argsort(-scores[row], kind="stable")[:k]
    return best
