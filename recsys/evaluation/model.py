"""What is evaluated: a fit learns from a log and the catalogue, and returns a complete model."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.data.log import InteractionLog
from recsys.features.users import UserBatch
from recsys.recall.candidates import Candidates


class Model(Protocol):
    """Ranks the whole catalogue for each user."""

    def top(self, users: UserBatch, n: int) -> NDArray[np.int32]:
        """Return the ``n`` best items of each user, shape (users, n), best first, padded with NO_ITEM.

        No item twice for one user, and none of those the user must not get (``users.excluded_rows``).
        """
        ...


@runtime_checkable
class CandidateModel(Model, Protocol):
    """A model in two stages: the list comes out of candidates that can be looked at on their own."""

    def candidates(self, users: UserBatch) -> Candidates:
        """Return what the ranking stage gets to choose from."""
        ...


Fit = Callable[[InteractionLog, pl.DataFrame], Model]
"""Learns from the training log and the catalogue, whose rows are the log's item rows in order.

Raises UnavailableError when it cannot be fitted on this data; the report then names the reason.
"""
