"""What users chose right after an item, as chances: names nothing, but the ranker reads it."""

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from recsys.core.settings import FrozenModel
from recsys.data.log import InteractionLog
from recsys.recall.neighbours import NeighbourTable
from recsys.recall.pairs import strongest_pairs

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
    chosen = np.bincount(log.item_rows, minlength=log.n_items).astype(np.float64) + config.smoothing
    return strongest_pairs(
        log,
        config.n_neighbours,
        lag_weights=1.0 / np.arange(1, config.n_lags + 1),
        backward=0.0,
        scale_from=1.0 / chosen,
        scale_to=np.ones(log.n_items),
    )
