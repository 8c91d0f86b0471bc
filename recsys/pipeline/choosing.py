"""What a bundle thinks of items that others chose: its scores of given choices, as of a past moment."""

import numpy as np
from numpy.typing import NDArray

from recsys.features.users import NO_ITEM, UserBatch
from recsys.pipeline.stages import TwoStage
from recsys.recall.candidates import NOT_NAMED, Candidates
from recsys.recall.sources import SOURCE_NAMES

_BATCH_USERS = 256


def score_choices(model: TwoStage, users: UserBatch, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return the ranker's score of each choice, -inf where it is padding or unknown to the bundle.

    A choice that the bundle's own recall names keeps the ranks that its sources gave it; one that it does not
    name is scored as named by none.

    Args:
        model: the bundle.
        users: who was asked, as they were then.
        item_rows: shape (users, choices), rows of the bundle's catalogue, NO_ITEM where there is none.
    """
    scores = np.full(item_rows.shape, -np.inf, dtype=np.float32)
    for start in range(0, len(users), _BATCH_USERS):
        part = slice(start, start + _BATCH_USERS)
        batch = users.slice(start, min(start + _BATCH_USERS, len(users)))
        choices = _as_named(model.candidates(batch), item_rows[part])
        scores[part] = model.ranking.rank(batch, choices)
    return scores


def _as_named(named: Candidates, item_rows: NDArray[np.int32]) -> Candidates:
    """Return the choices with the ranks that recall gave them."""
    same = (item_rows[:, :, None] == named.item_rows[:, None, :]) & (item_rows != NO_ITEM)[:, :, None]
    found = same.any(axis=2)
    ranks = np.take_along_axis(named.source_ranks, same.argmax(axis=2)[:, :, None], axis=1)
    ranks = np.where(found[:, :, None], ranks, NOT_NAMED).astype(np.int16)
    return Candidates(item_rows, ranks.reshape(*item_rows.shape, len(SOURCE_NAMES)))
