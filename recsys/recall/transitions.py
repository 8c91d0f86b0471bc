"""What users chose right after an item, as chances: names nothing, but the ranker reads it."""

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from recsys.core.settings import FrozenModel
from recsys.data.log import InteractionLog
from recsys.recall.neighbours import NeighbourTable, keep_strongest
from recsys.recall.pairs import pair_counts

TRANSITIONS_FOLDER = "recall/transitions"


class TransitionsConfig(FrozenModel):
    """How transitions are counted."""

    n_lags: PositiveInt = 3
    """An item up to so many positions later counts 1 / distance."""

    n_neighbours: PositiveInt = 100
    """Followers kept per item."""

    smoothing: PositiveFloat = 5.0
    """Added to the number of times an item was chosen, so that rare items promise little."""


def fit_transitions(log: InteractionLog, config: TransitionsConfig) -> NeighbourTable:
    """Count who follows whom and divide by how often the first was chosen."""
    chosen = np.bincount(log.item_rows, minlength=log.n_items).astype(np.float32) + config.smoothing
    lag_weights = 1.0 / np.arange(1, config.n_lags + 1)
    blocks = (
        (start, counts / chosen[start : start + len(counts), None])
        for start, counts in pair_counts(log, lag_weights=lag_weights, backward=0.0)
    )
    return keep_strongest(blocks, log.n_items, config.n_neighbours)
