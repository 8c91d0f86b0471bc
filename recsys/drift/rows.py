"""Events as rows of one shape, with what is known of their items and the window that they fall into."""

import numpy as np
import polars as pl

from recsys.core.clock import SECONDS_PER_DAY, SECONDS_PER_HOUR
from recsys.data.schema import POSITIVE_KINDS
from recsys.drift.item_facts import UNKNOWN_RANK

UNKNOWN = "(unknown)"
_POSITIVE = [kind.value for kind in POSITIVE_KINDS]
_WHOLE = 0.9  # a last window that is covered so far counts as whole: nobody comes at midnight sharp


def rows_of(interactions: pl.DataFrame, facts: pl.DataFrame, window_s: float) -> pl.DataFrame:
    """Return one row per interaction, with all that features are made of.

    Args:
        interactions: schema :data:`recsys.data.schema.INTERACTIONS`.
        facts: what :func:`recsys.drift.item_facts.item_facts` returned.
        window_s: how long a window is; windows begin at whole multiples of it, Unix time.

    Returns:
        ``user_id``, ``window`` (its number), ``item_id``, ``positive``, ``kind``, ``context``, ``hour`` (of
        the day, UTC, two digits), ``value`` (or null), ``rank``, ``tags`` (may be null or empty),
        ``age_days`` (null where publication is unknown or later).
    """
    time_s = pl.col("time_s")
    hour = ((time_s % SECONDS_PER_DAY) // SECONDS_PER_HOUR).cast(pl.Int32())
    age_days = (time_s - pl.col("published_s")) / SECONDS_PER_DAY
    joined = interactions.join(facts, on="item_id", how="left", maintain_order="left")
    return joined.select(
        "user_id",
        (time_s // window_s).cast(pl.Int64()).alias("window"),
        "item_id",
        pl.col("kind").cast(pl.String()).is_in(_POSITIVE).alias("positive"),
        pl.col("kind").cast(pl.String()),
        pl.col("context").fill_null(UNKNOWN),
        hour.cast(pl.String()).str.zfill(2).alias("hour"),
        "value",
        pl.col("rank").fill_null(UNKNOWN_RANK),
        "tags",
        pl.when(age_days >= 0).then(age_days).alias("age_days"),
    )


def whole_windows(interactions: pl.DataFrame, window_s: float) -> range:
    """Return the numbers of the windows that the interactions cover from end to end.

    >>> whole_windows(pl.DataFrame({"time_s": [5.0, 39.5]}), 10.0)
    range(1, 4)
    """
    if interactions.is_empty():
        return range(0)
    times_s = interactions["time_s"].to_numpy()
    first, last = float(times_s.min()), float(times_s.max())
    begin = int(np.ceil(first / window_s - (1.0 - _WHOLE)))
    end = int(np.floor(last / window_s + (1.0 - _WHOLE)))
    return range(begin, max(begin, end))
