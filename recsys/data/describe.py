"""What a data set is like, in numbers."""

from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.data.quality import Finding, check_quality
from recsys.data.schema import POSITIVE_KINDS, Dataset

PERCENTILES = (1, 10, 25, 50, 75, 90, 99, 100)


@dataclass(frozen=True, slots=True)
class TopItem:
    """An item that many users chose."""

    item_id: str
    title: str | None
    n_positive: int


@dataclass(frozen=True, slots=True)
class Description:
    """What :func:`describe` found; positive interactions are those that say the user chose the item."""

    name: str
    n_interactions: int
    n_positive: int
    n_users: int  # with any interaction
    n_items: int  # in the catalogue
    n_items_chosen: int  # with a positive interaction
    density: float  # different positive pairs / (users x items)
    first_s: float | None  # Unix time, None without interactions
    last_s: float | None
    kinds: dict[str, int]
    contexts: dict[str, int]  # the ten most frequent
    history_lengths: dict[int, float]  # percentile -> positive interactions of a user who has any
    gini: float  # of positives over the catalogue: 0 all alike, 1 one item has everything
    tied_share: float  # positives at the same second as the user's one before
    n_with_tags: int
    n_with_title: int
    n_with_publication: int
    n_available: int
    top: tuple[TopItem, ...]
    findings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {**asdict(self), "history_lengths": {f"p{p}": n for p, n in self.history_lengths.items()}}


def describe(dataset: Dataset, *, now_s: float, n_top: int = 10) -> Description:
    """Look over a data set.

    Args:
        dataset: what a loader returned.
        now_s: Unix time, for the quality checks.
        n_top: how many of the most chosen items to name.
    """
    rows, items = dataset.interactions, dataset.items
    positive = positive_rows(rows)
    counts = items_by_popularity(dataset)
    n_users = rows["user_id"].n_unique()
    pairs = positive.select("user_id", "item_id").unique().height
    lengths = positive.group_by("user_id").len()["len"].to_numpy().astype(np.float64)
    return Description(
        name=dataset.name,
        n_interactions=rows.height,
        n_positive=positive.height,
        n_users=n_users,
        n_items=items.height,
        n_items_chosen=int((counts["n"] > 0).sum()),
        density=pairs / max(1, n_users * items.height),
        first_s=_float_or_none(rows["time_s"].min()),
        last_s=_float_or_none(rows["time_s"].max()),
        kinds=_counts(rows["kind"].cast(pl.String())),
        contexts=_counts(rows["context"].drop_nulls(), 10),
        history_lengths={p: float(np.percentile(lengths, p)) for p in PERCENTILES} if len(lengths) else {},
        gini=gini(counts["n"].to_numpy().astype(np.float64)),
        tied_share=_tied_share(positive),
        n_with_tags=int((items["tags"].list.len() > 0).sum()),
        n_with_title=items.height - items["title"].null_count(),
        n_with_publication=items.height - items["published_s"].null_count(),
        n_available=int(items["available"].sum()),
        top=tuple(TopItem(*row) for row in counts.head(n_top).select("item_id", "title", "n").iter_rows()),
        findings=check_quality(dataset, now_s=now_s),
    )


def positive_rows(interactions: pl.DataFrame) -> pl.DataFrame:
    """Return the interactions that say the user chose the item."""
    return interactions.filter(
        pl.col("kind").cast(pl.String()).is_in([kind.value for kind in POSITIVE_KINDS])
    )


def items_by_popularity(dataset: Dataset) -> pl.DataFrame:
    """Return ``item_id``, ``title`` and ``n`` positive interactions of the catalogue, most chosen first."""
    chosen = positive_rows(dataset.interactions).group_by("item_id").agg(pl.len().alias("n"))
    return (
        dataset.items.select("item_id", "title")
        .join(chosen, on="item_id", how="left")
        .with_columns(pl.col("n").fill_null(0))
        .sort("n", "item_id", descending=[True, False])
    )


def gini(counts: NDArray[np.float64]) -> float:
    """Return how unequal counts are, from 0 (all alike) towards 1 (one has everything).

    Source: Gini, "Variabilita e mutabilita", 1912, in the form over sorted values.

    >>> gini(np.array([5.0, 5.0])), gini(np.array([0.0, 0.0, 0.0, 8.0]))
    (0.0, 0.75)
    """
    total = counts.sum()
    if total == 0:
        return 0.0
    n = len(counts)
    rank = np.arange(1, n + 1)
    return float(((2 * rank - n - 1) * np.sort(counts)).sum() / (n * total))


def _tied_share(positive: pl.DataFrame) -> float:
    gaps = positive.sort("user_id", "time_s").select(
        (pl.col("time_s").diff() == 0).alias("tied"),
        (pl.col("user_id") == pl.col("user_id").shift()).alias("same"),
    )
    followers = gaps.filter("same")
    return float(followers["tied"].sum() / followers.height) if followers.height else 0.0


def _counts(values: pl.Series, n: int | None = None) -> dict[str, int]:
    counted = values.rename("value").value_counts(name="n").sort("n", "value", descending=[True, False])
    return dict((counted if n is None else counted.head(n)).iter_rows())


def _float_or_none(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
