"""Items that others chose, as if recall had handed them on."""

import numpy as np
from numpy.typing import NDArray

from recsys.features.users import NO_ITEM
from recsys.recall.candidates import NOT_NAMED, Candidates
from recsys.recall.sources import SOURCE_NAMES


def as_named(named: Candidates, item_rows: NDArray[np.int32]) -> Candidates:
    """Return the choices with the ranks that recall gave them, as named by none where it did not.

    Args:
        named: what recall names for each user.
        item_rows: shape (users, choices), NO_ITEM where there is none.
    """
    same = (item_rows[:, :, None] == named.item_rows[:, None, :]) & (item_rows != NO_ITEM)[:, :, None]
    found = same.any(axis=2)
    ranks = np.take_along_axis(named.source_ranks, same.argmax(axis=2)[:, :, None], axis=1)
    ranks = np.where(found[:, :, None], ranks, NOT_NAMED).astype(np.int16)
    return Candidates(item_rows, ranks.reshape(*item_rows.shape, len(SOURCE_NAMES)))
