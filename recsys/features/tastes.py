"""What a user likes and when: the tags met most often, the parts of the day."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.compiled import compiled
from recsys.features.lives import Lives, Moments
from recsys.features.users import HISTORY_LENGTH

N_PREFERRED = 3
"""How many tags are told."""

PARTS_OF_DAY = ("night", "morning", "afternoon", "evening")
"""Six hours each, from midnight, UTC."""

DAY_FEATURES = (*(f"share_{part}" for part in PARTS_OF_DAY), "share_now")
"""Names of the columns of :func:`day_features`, in order."""

NO_TAG = -1


@dataclass(frozen=True, slots=True)
class TagTable:
    """Tags of every item: item ``i`` has ``rows[offsets[i]:offsets[i + 1]]``."""

    offsets: NDArray[np.int64]  # shape (items + 1,)
    rows: NDArray[np.int32]  # rows of ``names``
    names: tuple[str, ...]  # in order of the alphabet


def fit_tags(tags: pl.Series) -> TagTable:
    """Number the tags of a catalogue.

    Args:
        tags: lists of text, one per item, in the order of the items' rows.
    """
    pairs = pl.DataFrame({"item": pl.int_range(tags.len(), eager=True), "tag": tags}).explode("tag")
    pairs = pairs.drop_nulls("tag").unique().sort("item", "tag")
    names = pairs["tag"].unique().sort()
    numbers = pl.DataFrame({"tag": names, "row": pl.int_range(names.len(), dtype=pl.Int32(), eager=True)})
    rows = pairs.join(numbers, on="tag", how="left", maintain_order="left")["row"].to_numpy()
    counts = np.bincount(pairs["item"].to_numpy(), minlength=tags.len())
    return TagTable(
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        rows.astype(np.int32),
        tuple(names.to_list()),
    )


def day_features(lives: Lives, moments: Moments) -> NDArray[np.float32]:
    """Return which shares of the choices fell into the parts of the day, the last: into that of the question.

    Shape (questions, features), columns as in :data:`DAY_FEATURES`; nan without any choice.
    """
    found = np.empty((len(moments), len(DAY_FEATURES)), dtype=np.float32)
    _parts_of_day(lives.times_s, moments.starts, moments.stops, moments.now_s, len(PARTS_OF_DAY), found)
    return found


def preferred_tags(
    lives: Lives, moments: Moments, tags: TagTable
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the tags of most of the latest items, and which share of those items has them.

    The latest :data:`HISTORY_LENGTH` items are looked at; of tags met equally often the first in the
    alphabet comes first.

    Returns:
        rows of ``tags.names``, shape (questions, N_PREFERRED), NO_TAG where there are fewer; shares of the
        same shape, 0 there.
    """
    shape = (len(moments), N_PREFERRED)
    rows, shares = np.full(shape, NO_TAG, dtype=np.int32), np.zeros(shape, dtype=np.float32)
    starts = np.maximum(moments.starts, moments.stops - HISTORY_LENGTH)
    counts = np.zeros(max(1, len(tags.names)), dtype=np.int32)
    _count_tags(lives.item_rows, starts, moments.stops, tags.offsets, tags.rows, counts, rows, shares)
    return rows, shares


@compiled
def _parts_of_day(
    times_s: NDArray[np.float64],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    now_s: NDArray[np.float64],
    n_parts: int,
    found: NDArray[np.float32],
) -> None:
    part_s = SECONDS_PER_DAY / n_parts
    for question in range(len(now_s)):
        counts = np.zeros(n_parts, dtype=np.int64)
        for position in range(starts[question], stops[question]):
            counts[int((times_s[position] % SECONDS_PER_DAY) // part_s)] += 1
        n = stops[question] - starts[question]
        for part in range(n_parts):
            found[question, part] = counts[part] / n if n else np.nan
        found[question, n_parts] = found[question, int((now_s[question] % SECONDS_PER_DAY) // part_s)]


@compiled
def _count_tags(
    item_rows: NDArray[np.int32],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    tag_offsets: NDArray[np.int64],
    tag_rows: NDArray[np.int32],
    counts: NDArray[np.int32],
    rows: NDArray[np.int32],
    shares: NDArray[np.float32],
) -> None:
    n_kept = rows.shape[1]
    for question in range(len(starts)):
        for position in range(starts[question], stops[question]):
            item = item_rows[position]
            for place in range(tag_offsets[item], tag_offsets[item + 1]):
                counts[tag_rows[place]] += 1
        best_counts = np.zeros(n_kept, dtype=np.int32)
        for position in range(starts[question], stops[question]):
            item = item_rows[position]
            for place in range(tag_offsets[item], tag_offsets[item + 1]):
                tag = tag_rows[place]
                count = counts[tag]
                counts[tag] = 0  # each is looked at once, and the counts are clean afterwards
                rank = n_kept
                while rank > 0 and (
                    count > best_counts[rank - 1]
                    or (count > 0 and count == best_counts[rank - 1] and tag < rows[question, rank - 1])
                ):
                    rank -= 1
                if rank < n_kept:
                    for later in range(n_kept - 1, rank, -1):
                        best_counts[later] = best_counts[later - 1]
                        rows[question, later] = rows[question, later - 1]
                    best_counts[rank] = count
                    rows[question, rank] = tag
        n = stops[question] - starts[question]
        for rank in range(n_kept):
            if best_counts[rank] > 0:
                shares[question, rank] = best_counts[rank] / n
