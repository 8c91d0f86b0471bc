"""Items that came after the sources were fitted: named by their tags, a few places for each user."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.core.compiled import compiled
from recsys.features.users import NO_ITEM, UserBatch
from recsys.recall.candidates import NOT_NAMED, Candidates
from recsys.recall.sources import SOURCE_NAMES
from recsys.recall.tags import TagsSource

_TAGS = SOURCE_NAMES.index("tags")
_LAST_RANK = int(NOT_NAMED) - 1


@dataclass(frozen=True, slots=True)
class LateItems:
    """Items that nobody had touched when the bundle was made.

    Among 200 candidates by all sources hardly any is new (docs/cold-start.md), so the last places of every
    user's candidates are kept for them: those most like what the user chose lately, or just the newest.
    Which of them is shown is the ranker's decision, and exploration's.
    """

    rows: NDArray[np.int32]  # shape (late items,), the newest first; none that is gone
    tags: TagsSource  # knows their vectors
    share: float  # of the candidates

    def among(self, candidates: Candidates, users: UserBatch, blocked: NDArray[np.bool_]) -> Candidates:
        """Return candidates with late items in the last places.

        Args:
            candidates: what the sources named.
            users: for whom.
            blocked: shape (users, items), late ones included; True where the item must not be named.
        """
        n = candidates.item_rows.shape[1]
        n_late = min(n, max(1, round(self.share * n)))
        asked = np.broadcast_to(self.rows, (len(users), len(self.rows)))
        scores = self.tags.score(users, asked)
        scores[blocked[:, self.rows]] = -np.inf
        best = np.argsort(-scores, axis=1, kind="stable")[:, :n_late]  # ties: the newest first
        named = np.where(
            np.isfinite(np.take_along_axis(scores, best, axis=1)), self.rows[best], np.int32(NO_ITEM)
        )
        made = Candidates(candidates.item_rows.copy(), candidates.source_ranks.copy())
        _put_last(named, _TAGS, made.item_rows, made.source_ranks)
        return made


@compiled
def _put_last(
    named: NDArray[np.int32],
    source: int,
    item_rows: NDArray[np.int32],
    source_ranks: NDArray[np.int16],
) -> None:
    """Put the items named for each user behind the others, or in place of the last of them.

    Their ranks go on behind those that the source has given this user.
    """
    for user in range(len(named)):
        n_named = 0
        while n_named < named.shape[1] and named[user, n_named] >= 0:
            n_named += 1
        n_kept, rank = 0, 0
        for column in range(item_rows.shape[1]):
            given = source_ranks[user, column, source]
            if given != NOT_NAMED and given >= rank:
                rank = given + 1
        while n_kept < item_rows.shape[1] - n_named and item_rows[user, n_kept] >= 0:
            n_kept += 1
        for column in range(n_named):
            item_rows[user, n_kept + column] = named[user, column]
            source_ranks[user, n_kept + column] = NOT_NAMED
            source_ranks[user, n_kept + column, source] = min(rank + column, _LAST_RANK)
