"""What can be said of one list: how much of it was taken, how soon, and how varied it was."""

from typing import Final

import numpy as np
import polars as pl

from recsys.experiments.feedback import Records

DEFAULT_K: Final = 10
_COUNTED: Final = ("clicked", "watched", "skipped", "liked", "chosen")

FACTS = pl.Schema(
    {
        "n_clicked": pl.UInt32(),  # items of the list, not events; and so on
        "n_watched": pl.UInt32(),
        "n_skipped": pl.UInt32(),
        "n_liked": pl.UInt32(),
        "n_chosen": pl.UInt32(),
        "watch_time": pl.Float64(),
        "first_chosen": pl.Int32(),  # rank of the first item that was chosen; null without one
        "ndcg": pl.Float64(),
        "hit": pl.Boolean(),
        "n_tags": pl.UInt32(),  # different ones; null without a catalogue
        "n_creators": pl.UInt32(),
    }
)
"""Columns that facts add to those of the lists."""


def list_facts(
    records: Records, catalogue: pl.DataFrame | None = None, *, k: int = DEFAULT_K
) -> pl.DataFrame:
    """Return one row per list, those without items too: columns of the lists and of :data:`FACTS`.

    ``watch_time`` is in seconds when a catalogue says how long items are (others add nothing); without one it
    is in lengths of a video. A watch that does not say how much was watched adds nothing. ``ndcg`` and
    ``hit`` are of the first ``k`` items; the ideal has what was chosen of *this* list at its top, so ``ndcg``
    says how well the list was ordered and nothing of what it lacked.

    Args:
        records: lists and impressions.
        catalogue: columns of :data:`recsys.data.schema.ITEMS`.
        k: how many items count for ``ndcg`` and ``hit``.

    Source: Järvelin and Kekäläinen, "Cumulated Gain-based Evaluation of IR Techniques", TOIS 2002 (NDCG).
    """
    shown = records.impressions.lazy().select("list_row", "item_id", "rank", "watch_value", *_COUNTED)
    counts = [f"n_{name}" for name in _COUNTED]
    return (
        records.lists.lazy()
        .with_row_index("list_row")
        .join(_taken(shown, catalogue, k), on="list_row", how="left", maintain_order="left")
        .with_columns(
            pl.col(*counts, "watch_time", "gain").fill_null(0), pl.col("hit").fill_null(value=False)
        )
        .with_columns(ndcg=pl.col("gain") / _best_gain(k))
        .join(_variety(shown, catalogue), on="list_row", how="left", maintain_order="left")
        .with_columns(pl.col("n_tags", "n_creators").fill_null(pl.lit(None if catalogue is None else 0)))
        .select(*records.lists.columns, *(pl.col(name).cast(of) for name, of in FACTS.items()))
        .collect()
    )


def _taken(shown: pl.LazyFrame, catalogue: pl.DataFrame | None, k: int) -> pl.LazyFrame:
    """Return per list with items what was taken of it, and how near the top."""
    hit = pl.col("chosen") & (pl.col("rank") <= k)
    watched = pl.col("watch_value").cast(pl.Float64)
    if catalogue is not None:
        durations = catalogue.lazy().select("item_id", "duration_s")
        shown = shown.join(durations, on="item_id", how="left")
        watched = watched * pl.col("duration_s")
    return shown.group_by("list_row").agg(
        *(pl.col(name).sum().alias(f"n_{name}") for name in _COUNTED),
        watch_time=watched.sum(),
        first_chosen=pl.col("rank").filter("chosen").min(),
        gain=(1.0 / (pl.col("rank") + 1.0).log(2.0)).filter(hit).sum(),
        hit=hit.any(),
    )


def _best_gain(k: int) -> pl.Expr:
    """Return what an ideal list with as many chosen items would gain; 1 when there are none."""
    ideal = np.concatenate([[1.0], np.cumsum(1.0 / np.log2(np.arange(k) + 2.0))])
    n = pl.col("n_chosen").clip(upper_bound=k)
    return n.replace_strict(list(range(k + 1)), ideal.tolist(), return_dtype=pl.Float64)


def _variety(shown: pl.LazyFrame, catalogue: pl.DataFrame | None) -> pl.LazyFrame:
    """Return per list how many different tags and creators its items have."""
    if catalogue is None:
        counts = {name: FACTS[name] for name in ("n_tags", "n_creators")}
        return pl.LazyFrame(schema={"list_row": pl.UInt32(), **counts})
    known = catalogue.lazy().select("item_id", "tags", "creator_id")
    return (
        shown.select("list_row", "item_id")
        .join(known, on="item_id")
        .group_by("list_row")
        .agg(
            n_tags=pl.col("tags").explode().drop_nulls().n_unique(),
            n_creators=pl.col("creator_id").drop_nulls().n_unique(),
        )
    )
