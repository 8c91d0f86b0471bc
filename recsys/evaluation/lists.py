"""What lists are like beyond being right: varied, fresh, fair to the catalogue."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse
from scipy.stats import rankdata

from recsys.data.log import InteractionLog
from recsys.features.users import NO_ITEM


@dataclass(frozen=True, slots=True)
class CatalogueFacts:
    """What list metrics know of each item; only :func:`catalogue_facts` makes one."""

    tag_vectors: sparse.csr_array  # shape (items, tags), rows of length 1, or 0 for an item without tags
    surprise_bits: NDArray[np.float64]  # shape (items,), -log2 of the item's share of the training events
    popularity_percentile: NDArray[np.float64]  # shape (items,), in (0, 1), ties share their middle

    @property
    def n_items(self) -> int:
        """How many items there are."""
        return len(self.surprise_bits)


def catalogue_facts(train: InteractionLog, items: pl.DataFrame) -> CatalogueFacts:
    """Count tags and training events of each item.

    The share is smoothed by one event per item, so that an item nobody has touched has finite surprise.
    """
    events = np.bincount(train.item_rows, minlength=train.n_items)
    share = (events + 1.0) / (events.sum() + train.n_items)
    percentile = (rankdata(events) - 0.5) / max(1, train.n_items)
    return CatalogueFacts(_tag_vectors(items), -np.log2(share), percentile)


def diversity(item_rows: NDArray[np.int32], facts: CatalogueFacts) -> NDArray[np.float64]:
    """Return 1 - the mean cosine between the tags of two items of the list, shape (users,), in [0, 1].

    An item without tags is unlike everything; a list of fewer than two items has no variety: 0.0.
    """
    shown, n_shown = _shown(item_rows, facts.n_items)
    totals = sparse.csr_array(shown @ facts.tag_vectors)
    tagged = np.diff(facts.tag_vectors.indptr) > 0
    same = totals.power(2).sum(axis=1) - shown @ tagged.astype(np.float64)  # both orders of each pair
    pairs = n_shown * (n_shown - 1.0)
    cosine = np.ones(len(item_rows))
    np.divide(same, pairs, out=cosine, where=pairs > 0)
    return np.clip(1.0 - cosine, 0.0, 1.0)


def novelty_bits(item_rows: NDArray[np.int32], facts: CatalogueFacts) -> NDArray[np.float64]:
    """Return the mean surprise of the list's items, shape (users,); 0.0 for an empty list.

    Source: Vargas and Castells, "Rank and Relevance in Novelty and Diversity Metrics", RecSys 2011.
    """
    return _mean_over_list(item_rows, facts.surprise_bits)


def popularity_percentile(item_rows: NDArray[np.int32], facts: CatalogueFacts) -> NDArray[np.float64]:
    """Return the mean popularity percentile of the list's items, shape (users,), in [0, 1].

    0.5 is what lists drawn at random have; near 1.0, only the most popular items are shown.
    """
    return _mean_over_list(item_rows, facts.popularity_percentile)


def coverage(exposure: NDArray[np.int64]) -> float:
    """Return the share of the catalogue that was shown to anybody; ``exposure`` counts showings per item."""
    return float(np.mean(exposure > 0)) if exposure.size else 0.0


def gini(exposure: NDArray[np.int64]) -> float:
    """Return how unequally showings fall on items: 0 equally, near 1 all on one; 0.0 when nothing was shown.

    >>> round(gini(np.array([0, 0, 0, 8])), 3), gini(np.array([2, 2, 2, 2]))
    (0.75, 0.0)
    """
    total, n = int(exposure.sum()), exposure.size
    if total == 0:
        return 0.0
    rising = np.sort(exposure).astype(np.float64)
    return float(((2.0 * np.arange(1, n + 1) - n - 1.0) @ rising) / (n * total))


def exposure_of(item_rows: NDArray[np.int32], n_items: int) -> NDArray[np.int64]:
    """Count how often each item is shown, shape (items,)."""
    return np.bincount(item_rows[item_rows != NO_ITEM], minlength=n_items)


def _tag_vectors(items: pl.DataFrame) -> sparse.csr_array:
    """Return one row per item: each tag 1 / sqrt(tags of the item)."""
    tags = (
        items.select("tags")
        .with_row_index("item_row")
        .explode("tags", empty_as_null=True)
        .drop_nulls()
        .unique(maintain_order=True)
    )
    codes, columns = np.unique(tags["tags"].to_numpy(), return_inverse=True)
    rows = tags["item_row"].to_numpy()
    n_tags = np.bincount(rows, minlength=items.height)
    values = 1.0 / np.sqrt(n_tags[rows])
    return sparse.csr_array((values, (rows, columns)), shape=(items.height, max(1, len(codes))))


def _shown(item_rows: NDArray[np.int32], n_items: int) -> tuple[sparse.csr_array, NDArray[np.float64]]:
    """Return the lists as a 0/1 matrix of shape (users, items), and their lengths."""
    real = item_rows != NO_ITEM
    lengths = real.sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    matrix = sparse.csr_array(
        (np.ones(int(offsets[-1])), item_rows[real], offsets), shape=(len(item_rows), n_items)
    )
    return matrix, lengths.astype(np.float64)


def _mean_over_list(item_rows: NDArray[np.int32], of_item: NDArray[np.float64]) -> NDArray[np.float64]:
    shown, n_shown = _shown(item_rows, len(of_item))
    means = np.zeros(len(item_rows))
    np.divide(shown @ of_item, n_shown, out=means, where=n_shown > 0)
    return means
