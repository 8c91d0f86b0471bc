"""What was shown to whom, and what followed: the table that a judge of shown items reads."""

from enum import StrEnum

import polars as pl

from recsys.core.errors import InputError
from recsys.data.schema import POSITIVE_KINDS, Dataset, Kind


class Target(StrEnum):
    """A question to an impression; its name is the name of the column with the answers."""

    CLICK = "click"
    LONG_VIEW = "long_view"
    LIKE = "like"


IMPRESSIONS = pl.Schema(
    {
        "user_id": pl.String(),
        "item_id": pl.String(),
        "time_s": pl.Float64(),  # Unix time, UTC
        "context": pl.String(),  # the surface it was shown on; null when unknown
        "at_random": pl.Boolean(),  # drawn evenly, not chosen by a recommender
        Target.CLICK.value: pl.Boolean(),
        Target.LONG_VIEW.value: pl.Boolean(),  # null throughout where nobody measured it
        Target.LIKE.value: pl.Boolean(),  # likewise
    }
)
"""Columns of a table of impressions, one row each, clicked or not, in order of time."""


def impressions_of(dataset: Dataset) -> pl.DataFrame:
    """Return the impressions of a data set that logs what was shown and not chosen.

    Every interaction is an impression: ``impression`` says that nothing followed, ``skip`` and ``dislike``
    that it was no click; positive kinds are clicks. Ratings say nothing of what was shown and are left out.

    Returns:
        Schema :data:`IMPRESSIONS`, without long views and likes, in order of time.

    Raises:
        InputError: nothing shown and not chosen was logged.
    """
    kinds = dataset.interactions["kind"].cast(pl.String())
    if not kinds.is_in([Kind.IMPRESSION.value, Kind.SKIP.value]).any():
        raise InputError(f"data set {dataset.name}: no impressions, so nobody knows what was shown in vain")
    return (
        dataset.interactions.filter(kinds != Kind.RATING.value)
        .select(
            "user_id",
            "item_id",
            "time_s",
            "context",
            pl.lit(value=False).alias("at_random"),
            pl.col("kind").cast(pl.String()).is_in([kind.value for kind in POSITIVE_KINDS]).alias("click"),
            pl.lit(None, dtype=pl.Boolean()).alias("long_view"),
            pl.lit(None, dtype=pl.Boolean()).alias("like"),
        )
        .sort("time_s", maintain_order=True)
    )
