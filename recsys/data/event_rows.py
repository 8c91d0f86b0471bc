"""From rows of events to interactions, as a data set has them."""

from typing import Final

import polars as pl

from recsys.data.events import EventKind
from recsys.data.schema import INTERACTIONS, KIND_DTYPE, Kind

NEEDED: Final = (*INTERACTIONS, "event_id", "retracts")
"""Columns of events that it takes to know which interactions are left; a kind is its name."""


def interactions_left(events: pl.DataFrame) -> pl.DataFrame:
    """Return what users did and did not take back, in the order of the events.

    Args:
        events: columns :data:`NEEDED`; each event once.

    Returns:
        Rows of :data:`recsys.data.schema.INTERACTIONS`.
    """
    is_retraction = pl.col("kind") == EventKind.RETRACTION.value
    taken_back = events.filter(is_retraction).select("user_id", event_id="retracts").unique()
    return (
        events.filter(pl.col("kind").is_in([kind.value for kind in Kind]))
        .join(taken_back, on=["user_id", "event_id"], how="anti", maintain_order="left")
        .select(
            pl.col("kind").cast(KIND_DTYPE) if column == "kind" else pl.col(column).cast(dtype)
            for column, dtype in INTERACTIONS.items()
        )
    )
