"""What every recall source can do. A source names candidates; the blend merges the sources."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recsys.core.compiled import compiled
from recsys.features.users import NO_ITEM, UserBatch
from recsys.registry.bundle import BundleWriter


@dataclass(frozen=True, slots=True)
class Ranked:
    """Items named for each user, best first; short rows are padded with NO_ITEM and -inf."""

    item_rows: NDArray[np.int32]  # shape (users, n)
    scores: NDArray[np.float32]  # shape (users, n), falling

    @classmethod
    def nothing(cls, n_users: int, n: int) -> "Ranked":
        """Return rows of padding, to be filled."""
        return cls(
            np.full((n_users, n), NO_ITEM, dtype=np.int32), np.full((n_users, n), -np.inf, dtype=np.float32)
        )


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
    kept = Ranked.nothing(len(item_rows), n)
    _keep_first(item_rows, scores, blocked, kept.item_rows, kept.scores)
    return kept


@compiled
def _keep_first(
    item_rows: NDArray[np.int32],
    scores: NDArray[np.float32],
    blocked: NDArray[np.bool_],
    kept_rows: NDArray[np.int32],
    kept_scores: NDArray[np.float32],
) -> None:
    for user in range(len(item_rows)):
        place = 0
        for column in range(item_rows.shape[1]):
            row = item_rows[user, column]
            if place == kept_rows.shape[1]:
                break
            if row >= 0 and not blocked[user, row]:
                kept_rows[user, place] = row
                kept_scores[user, place] = scores[user, column]
                place += 1
