"""What recall hands to ranking: items per user, and where each source ranked them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NOT_NAMED = np.int16(32_767)
"""Rank of an item that a source did not name."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Candidates of a batch of users, in recall order (best first); short rows are padded with NO_ITEM."""

    item_rows: NDArray[np.int32]  # shape (users, candidates)
    source_ranks: NDArray[np.int16]  # shape (users, candidates, sources), 0 is best, NOT_NAMED if absent

    def __len__(self) -> int:
        return len(self.item_rows)
