"""The places of served lists that chance filled, with what came of them: what off-policy estimates need."""

from typing import Final

import numpy as np
import polars as pl

from recsys.core.errors import FieldError
from recsys.experiments.feedback import Records
from recsys.experiments.off_policy import LoggedChoices

REWARDS: Final = {
    "click_rate": "clicked",
    "watch_rate": "watched",
    "like_rate": "liked",
    "skip_rate": "skipped",
    "choice_rate": "chosen",
}
"""Metric -> the column of impressions that says whether it happened."""

EXPLORED = pl.Schema(
    {
        "request_id": pl.String(),
        "unit": pl.String(),
        "user_pseudonym": pl.String(),  # null of anonymous traffic
        "bundle": pl.String(),  # that made the list
        "context": pl.String(),
        "served_at_s": pl.Float64(),
        "rank": pl.Int32(),  # of the place that was drawn, 1 is the top of the list
        "item_id": pl.String(),  # what stood there
        "choices": pl.List(pl.String()),
        "chances": pl.List(pl.Float64()),
        "reward": pl.Float64(),
    }
)
"""Columns of explored places."""


def explored_places(exposures: pl.LazyFrame, records: Records, metric: str) -> pl.DataFrame:
    """Return one row per list of the records in which a place was drawn, columns of :data:`EXPLORED`.

    Args:
        exposures: those that the records were made from.
        records: with reactions attributed.
        metric: one of :data:`REWARDS`.

    Raises:
        FieldError: there is no such metric.
    """
    if metric not in REWARDS:
        raise FieldError("metric", repr(metric), f"one of {', '.join(REWARDS)}")
    drawn = (
        exposures.filter(pl.col("explored_rank").is_not_null(), pl.col("call") == "recommend")
        .sort("served_at_s", maintain_order=True)
        .unique("request_id", keep="first", maintain_order=True)
        .select("request_id", "user_pseudonym", "context", "choices", "chances", rank="explored_rank")
        .collect()
    )
    shown = records.impressions.select(
        "request_id", "rank", "unit", "bundle", "served_at_s", "item_id", reward=pl.col(REWARDS[metric])
    )
    joined = drawn.join(shown, on=["request_id", "rank"], how="inner", maintain_order="left")
    return joined.with_columns(pl.col("reward").cast(pl.Float64)).select(*EXPLORED)


def logged_choices(places: pl.DataFrame) -> LoggedChoices:
    """Return explored places as arrays.

    Args:
        places: columns of :data:`EXPLORED`.

    Raises:
        FieldError: what was shown is not among its choices, or the chances are none.
    """
    lengths = places["choices"].list.len().to_numpy().astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    flat = places.with_row_index("row").select("row", "item_id", "choices").explode("choices")
    taken = flat.select(same=pl.col("choices") == pl.col("item_id"), row="row").with_row_index("at")
    chosen = taken.filter("same").unique("row", keep="first", maintain_order=True)["at"].to_numpy()
    if len(chosen) != places.height:
        raise FieldError("choices", "a list that shows another item", "the item that was shown among them")
    return LoggedChoices(
        offsets,
        places["chances"].explode().to_numpy().astype(np.float64),
        chosen.astype(np.int64),
        places["reward"].to_numpy(),
        places["unit"].rank("dense").to_numpy().astype(np.int64) - 1,
    )
