"""Positive interactions as arrays: users one after another, each in order of time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.data.schema import POSITIVE_KINDS, Dataset


class Vocabulary:
    """Item (or user) ids from outside against row numbers inside; rows are 0..n-1 in the order given."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.ids: tuple[str, ...] = tuple(ids)
        self._row_of = {identifier: row for row, identifier in enumerate(self.ids)}

    def extended(self, added: Mapping[int, str], length: int) -> "Vocabulary":
        """Return a vocabulary with more rows behind those of this one; rows without an id are nobody's.

        Args:
            added: row -> id, each row not below ``len(self)``, each id new.
            length: rows there are then.
        """
        made = Vocabulary(())
        made.ids = (*self.ids, *(added.get(row, "") for row in range(len(self.ids), length)))
        made._row_of = self._row_of | {identifier: row for row, identifier in added.items()}
        return made

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, identifier: object) -> bool:
        return identifier in self._row_of

    def row(self, identifier: str) -> int:
        """Return the row of an id, -1 when it is unknown."""
        return self._row_of.get(identifier, -1)

    def rows(self, identifiers: Sequence[str]) -> NDArray[np.int32]:
        """Return the rows of many ids, shape (ids,), -1 where unknown."""
        rows = map(self._row_of.get, identifiers, repeat(-1))
        return np.fromiter(rows, dtype=np.int32, count=len(identifiers))


@dataclass(frozen=True, slots=True)
class InteractionLog:
    """Positive interactions in compressed rows: user ``u`` owns positions offsets[u]:offsets[u + 1].

    Within a user, positions run from old to new; ties in time keep the order of the source. Users are in
    order of their id. The arrays become read-only: models share one log, and libraries (scipy's
    ``sum_duplicates``) sort and merge in place what they are handed.
    """

    offsets: NDArray[np.int64]  # shape (users + 1,)
    item_rows: NDArray[np.int32]  # shape (positions,), 0 <= row < n_items
    times_s: NDArray[np.float64]  # shape (positions,), Unix time
    context_rows: NDArray[np.int16]  # shape (positions,), 0 = unknown
    user_ids: tuple[str, ...]
    contexts: tuple[str, ...]  # names of the context rows 1, 2, ...
    n_items: int

    def __post_init__(self) -> None:
        for values in (self.offsets, self.item_rows, self.times_s, self.context_rows):
            values.flags.writeable = False

    @property
    def n_users(self) -> int:
        """How many users have at least one position."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Positions per user, shape (users,)."""
        return np.diff(self.offsets)

    @property
    def user_rows(self) -> NDArray[np.int32]:
        """The user of every position, shape (positions,)."""
        return np.repeat(np.arange(self.n_users, dtype=np.int32), self.lengths)

    def select(self, positions: NDArray[np.bool_]) -> "InteractionLog":
        """Keep the marked positions, and of the users all, even those left with none."""
        return InteractionLog(
            np.concatenate([[0], np.cumsum(positions)]).astype(np.int64)[self.offsets],
            self.item_rows[positions],
            self.times_s[positions],
            self.context_rows[positions],
            self.user_ids,
            self.contexts,
            self.n_items,
        )

    def of_users(self, users: NDArray[np.bool_]) -> "InteractionLog":
        """Keep the positions of the marked users."""
        return self.select(np.repeat(users, self.lengths))


def encode(
    dataset: Dataset,
    items: Vocabulary,
    *,
    max_contexts: int = 64,
) -> InteractionLog:
    """Turn the positive interactions of a data set into arrays.

    Args:
        dataset: the interactions; kinds outside :data:`POSITIVE_KINDS` are left out.
        items: the catalogue's rows; interactions with other items are left out (the quality report counts
            them).
        max_contexts: how many contexts get a row of their own, the most frequent first.

    Returns:
        The log over all users who have at least one positive interaction with a catalogue item.
    """
    item_frame = pl.DataFrame(
        {"item_id": list(items.ids), "item_row": np.arange(len(items), dtype=np.int32)},
        schema={"item_id": pl.String(), "item_row": pl.Int32()},
    )
    rows = (
        dataset.interactions.lazy()
        .filter(pl.col("kind").cast(pl.String()).is_in([kind.value for kind in POSITIVE_KINDS]))
        .select("user_id", "item_id", "time_s", "context")
        .join(item_frame.lazy(), on="item_id", how="inner", maintain_order="left")
        .select("user_id", "item_row", "time_s", "context")
        .sort("user_id", "time_s", maintain_order=True)
        .collect()
    )
    counts = rows.group_by("user_id", maintain_order=True).len()
    contexts, context_rows = _contexts(rows, max_contexts)
    return InteractionLog(
        np.concatenate([[0], np.cumsum(counts["len"].to_numpy())]).astype(np.int64),
        rows["item_row"].to_numpy().astype(np.int32),
        rows["time_s"].to_numpy().astype(np.float64),
        context_rows,
        tuple(counts["user_id"].to_list()),
        contexts,
        len(items),
    )


def _contexts(rows: pl.DataFrame, n: int) -> tuple[tuple[str, ...], NDArray[np.int16]]:
    """Return the ``n`` most frequent contexts, and the row of each interaction, 0 where there is another."""
    counts = rows.drop_nulls("context").group_by("context").len()
    names = counts.sort("len", "context", descending=[True, False]).head(n)["context"].to_list()
    if not names:
        return (), np.zeros(rows.height, dtype=np.int16)
    numbers = range(1, len(names) + 1)
    numbered = rows["context"].replace_strict(names, list(numbers), default=0, return_dtype=pl.Int16())
    return tuple(names), numbered.fill_null(0).to_numpy().astype(np.int16)
