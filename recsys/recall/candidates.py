"""What recall hands to ranking: items per user, and where each source ranked them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.features.users import NO_ITEM

NOT_NAMED = np.int16(32_767)
"""Rank of an item that a source did not name."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Candidates of a batch of users, in recall order (best first); short rows are padded with NO_ITEM."""

    item_rows: NDArray[np.int32]  # shape (users, candidates)
    source_ranks: NDArray[np.int16]  # shape (users, candidates, sources), 0 is best, NOT_NAMED if absent

    def __len__(self) -> int:
        return len(self.item_rows)

    def below(self, n_items: int) -> "Candidates":
        """Return candidates with padding in place of rows that are not below ``n_items``: mostly itself."""
        if int(self.item_rows.max(initial=NO_ITEM)) < n_items:
            return self
        rows = np.where(self.item_rows < n_items, self.item_rows, np.int32(NO_ITEM))
        return Candidates(rows, self.source_ranks)
