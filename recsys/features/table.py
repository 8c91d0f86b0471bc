"""Features as a table: one row per choice, with what was known of its user just before it.

The definition as Polars runs it, over all users or over those of one partition: a user's rows depend on that
user and the catalogue alone.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys.data.schema import POSITIVE_KINDS, Kind
from recsys.features.lives import Lives, moments_of, watched_ms
from recsys.features.of_users import USER_FEATURES, user_features
from recsys.features.tastes import N_PREFERRED, TagTable, fit_tags

TAG_COLUMNS = tuple(f"preferred_tag_{rank + 1}" for rank in range(N_PREFERRED))
SHARE_COLUMNS = tuple(f"preferred_share_{rank + 1}" for rank in range(N_PREFERRED))

USER_TABLE = pl.Schema(
    {
        "user_id": pl.String(),
        "item_id": pl.String(),  # that was chosen: the answer, not known to any feature of the row
        "time_s": pl.Float64(),  # Unix time of the choice: features are of what happened strictly before
        **dict.fromkeys(USER_FEATURES, pl.Float32()),  # nan = unknown
        **dict.fromkeys(TAG_COLUMNS, pl.String()),  # null where there are fewer
        **dict.fromkeys(SHARE_COLUMNS, pl.Float32()),
    }
)
"""Columns of :func:`user_table`."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What the features need to know of items."""

    rows: pl.DataFrame  # item_id, item_row (Int32), duration_s (Float32, null = unknown)
    tags: TagTable

    @property
    def durations_s(self) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        """Shape (items,), nan = unknown."""
        return self.rows["duration_s"].fill_null(float("nan")).to_numpy().astype(np.float32)


def catalogue_of(items: pl.DataFrame) -> Catalogue:
    """Take what is needed from a catalogue, schema :data:`recsys.data.schema.ITEMS`."""
    row = pl.int_range(pl.len(), dtype=pl.Int32()).alias("item_row")
    rows = items.select("item_id", row, pl.col("duration_s").cast(pl.Float32()))
    return Catalogue(rows, fit_tags(items["tags"]))


def choices_of(interactions: pl.DataFrame, catalogue: Catalogue) -> pl.DataFrame:
    """Return the positive interactions with items of the catalogue, by user, then time.

    Ties in time keep their order. Besides the columns of interactions there is ``item_row``.
    """
    positive = pl.col("kind").cast(pl.String()).is_in([kind.value for kind in POSITIVE_KINDS])
    return (
        interactions.filter(positive)
        .join(catalogue.rows, on="item_id", how="inner", maintain_order="left")
        .sort("user_id", "time_s", maintain_order=True)
    )


def user_table(choices: pl.DataFrame, catalogue: Catalogue) -> pl.DataFrame:
    """Return the features of the user at every choice.

    Args:
        choices: what :func:`choices_of` gave.
        catalogue: the same.

    Returns:
        schema :data:`USER_TABLE`, in the order of ``choices``.
    """
    lives, users = lives_of(choices)
    times_s = choices["time_s"].to_numpy()
    found = user_features(lives, moments_of(lives, users, times_s), catalogue.tags)
    names = pl.Series(catalogue.tags.names, dtype=pl.String())
    columns = [choices["user_id"], choices["item_id"], choices["time_s"]]
    columns += [pl.Series(name, found.values[:, place]) for place, name in enumerate(USER_FEATURES)]
    for rank, name in enumerate(TAG_COLUMNS):
        rows = pl.Series(found.tag_rows[:, rank])
        columns.append(names.gather(rows.set(rows < 0, None)).alias(name))
    columns += [pl.Series(name, found.tag_shares[:, rank]) for rank, name in enumerate(SHARE_COLUMNS)]
    return pl.DataFrame(columns, schema=USER_TABLE)


def lives_of(choices: pl.DataFrame) -> tuple[Lives, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Return the lives that choices tell of, and the user row of each choice."""
    users = (choices["user_id"].rle_id() if choices.height else pl.Series([], dtype=pl.Int64())).to_numpy()
    n_users = int(users[-1]) + 1 if len(users) else 0
    share = pl.when(pl.col("kind").cast(pl.String()) == Kind.WATCH.value).then("value").cast(pl.Float32())
    watched = choices.select(share.fill_null(float("nan")).alias("share"), "duration_s")
    lives = Lives(
        np.concatenate([[0], np.cumsum(np.bincount(users, minlength=n_users))]).astype(np.int64),
        choices["item_row"].to_numpy().astype(np.int32),
        choices["time_s"].to_numpy().astype(np.float64),
        watched_ms(watched["share"].to_numpy(), watched["duration_s"].fill_null(float("nan")).to_numpy()),
    )
    return lives, users.astype(np.int64)
