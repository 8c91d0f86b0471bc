"""What is evaluated: a fit learns from a log and the catalogue, and returns a complete model."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

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


@runtime_checkable
class ScoringModel(Model, Protocol):
    """A model that can say what it thinks of items that others chose."""

    def scores(self, users: UserBatch, item_rows: NDArray[np.int32]) -> NDArray[np.floating[Any]]:
        """Return a finite score of each item, shape of ``item_rows``; larger is better, equal is a tie.

        Seen items count like any other. Only the order means anything, over all users together: where a
        model orders equal scores by popularity in :meth:`top`, it does so here.

        Args:
            users: who was asked, as they were then.
            item_rows: shape (users, items), every one a row of the catalogue.
        """
        ...


Fit = Callable[[InteractionLog, pl.DataFrame], Model]
"""Learns from the training log and the catalogue, whose rows are the log's item rows in order.

Raises UnavailableError when it cannot be fitted on this data; the report then names the reason.
"""
