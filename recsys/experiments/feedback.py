"""What became of what was shown: reactions joined to impressions.

The rules, in words (docs/exposures.md has the reasons):

- A request id counts once; of answers that share one, the earliest. Lists made for nobody are left out.
- A reaction that names a request belongs to that item of that list, if the list was for this user or for
  nobody in particular. One that names none belongs to the latest list before it that showed the user the
  item. Either way only within a window after the list was asked for, both ends included.
- An impression gets each kind once, and a reaction belongs to one impression (to the upper place when a list
  shows an item twice) or to none.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.clock import SECONDS_PER_DAY
from recsys.data.events import EventKind
from recsys.eventlog.exposure import impressions
from recsys.eventlog.exposure_reader import FOR_EVER, scan_exposures
from recsys.experiments.reactions import CHOSEN_KINDS

DEFAULT_WINDOW_S: Final = SECONDS_PER_DAY
_RECOMMEND = "recommend"

_FLAGS = {
    "clicked": [EventKind.CLICK.value],
    "watched": [EventKind.WATCH.value],
    "skipped": [EventKind.SKIP.value],
    "liked": [EventKind.LIKE.value],
    "chosen": CHOSEN_KINDS,
}

LISTS = pl.Schema(
    {
        "request_id": pl.String(),
        "unit": pl.String(),
        "arm": pl.String(),
        "bundle": pl.String(),
        "experiments": pl.List(pl.String()),  # "name=arm"
        "context": pl.String(),
        "served_at_s": pl.Float64(),
        "n_items": pl.UInt32(),
    }
)
"""Columns of lists. The unit is what was dealt an arm: the user's pseudonym; of anonymous traffic that of the
session; else the request."""

IMPRESSIONS = pl.Schema(
    {
        "list_row": pl.UInt32(),  # row number into the lists
        "request_id": pl.String(),
        "unit": pl.String(),
        "arm": pl.String(),
        "bundle": pl.String(),
        "experiments": pl.List(pl.String()),
        "served_at_s": pl.Float64(),
        "item_id": pl.String(),
        "position": pl.Int32(),  # 1 is the top of all pages
        "rank": pl.Int32(),  # 1 is the top of this list
        "source": pl.String(),
        "clicked": pl.Boolean(),
        "watched": pl.Boolean(),
        "skipped": pl.Boolean(),
        "liked": pl.Boolean(),
        "chosen": pl.Boolean(),  # anything that says the user wanted it
        "watch_value": pl.Float32(),  # the largest of its watches; null when none says
    }
)
"""Columns of impressions."""


@dataclass(frozen=True, slots=True)
class Records:
    """Lists that were served, and their items with what became of them."""

    lists: pl.DataFrame  # LISTS, from old to new; those without items too
    impressions: pl.DataFrame  # IMPRESSIONS, list after list, the top first

    def where(self, which: pl.Expr) -> "Records":
        """Keep the lists for which an expression over :data:`LISTS` is true."""
        kept = self.lists.with_columns(kept=which.fill_null(value=False))["kept"].to_numpy()
        if kept.all():
            return self
        list_rows = self.impressions["list_row"].to_numpy()
        new_rows = (np.cumsum(kept) - 1).astype(np.uint32)[list_rows]
        of_items = kept[list_rows]
        shown = self.impressions.with_columns(pl.Series("list_row", new_rows, dtype=pl.UInt32))
        return Records(self.lists.filter(kept), shown.filter(of_items))

    def of_experiment(self, name: str) -> "Records":
        """Keep the lists in which chance dealt an arm of an experiment; that arm is theirs from then on."""
        entry = pl.element().filter(pl.element().str.starts_with(f"{name}="))
        arm = pl.col("experiments").list.eval(entry).list.first().str.strip_prefix(f"{name}=")
        lists = self.lists.with_columns(arm=arm)
        shown = self.impressions.with_columns(arm=lists["arm"].gather(self.impressions["list_row"]))
        return Records(lists, shown).where(pl.col("arm").is_not_null())


def join_feedback(
    exposures: pl.LazyFrame,
    reactions: pl.DataFrame,
    *,
    window_s: float = DEFAULT_WINDOW_S,
    overrides: bool = False,
    degraded: bool = True,
    explored: bool = True,
) -> Records:
    """Attribute reactions to what was shown; see the rules above.

    A reaction is attributed among *all* lists; those that were not asked for are left out only then, or their
    reactions would go to lists before them.

    Args:
        exposures: columns of :data:`recsys.eventlog.exposure.SCHEMA`; all that may claim a reaction.
        reactions: columns of :data:`recsys.experiments.reactions.REACTIONS`, as ``usable`` returns them.
        window_s: later reactions have nothing to do with the list.
        overrides: also lists whose arm was not dealt by chance.
        degraded: also lists in which something was missing.
        explored: also lists in which a place was drawn by chance.
    """
    lists = _lists(exposures)
    shown = _shown(lists)
    attributed = _attributed(lists, shown, reactions, window_s)
    flagged = shown.select(pl.exclude("row", "user_pseudonym")).with_columns(
        *_flags(attributed, shown.height), _watch_value(attributed, shown.height)
    )
    kept = pl.lit(value=True) if overrides else ~pl.col("override").fill_null(value=False)
    kept &= pl.lit(value=True) if degraded else pl.col("degraded").list.len().fill_null(0) == 0
    kept &= pl.lit(value=True) if explored else pl.col("explored_rank").is_null()
    records = Records(lists, flagged).where(kept)
    return Records(records.lists.select(*LISTS), records.impressions.select(*IMPRESSIONS))


def read_records(
    exposures: Path,
    reactions: pl.DataFrame,
    *,
    since_s: float = 0.0,
    until_s: float = FOR_EVER,
    window_s: float = DEFAULT_WINDOW_S,
    overrides: bool = False,
    degraded: bool = True,
    explored: bool = True,
) -> Records:
    """Return the records of a time range from a folder of exposures; see :func:`join_feedback`.

    Lists up to ``window_s`` later are read too, for they may claim a reaction.
    """
    found = scan_exposures(exposures, since_s=since_s, until_s=until_s + window_s)
    records = join_feedback(
        found, reactions, window_s=window_s, overrides=overrides, degraded=degraded, explored=explored
    )
    return records.where(pl.col("served_at_s") < until_s)


def _lists(exposures: pl.LazyFrame) -> pl.DataFrame:
    return (
        exposures.filter(pl.col("call") == _RECOMMEND)
        .sort("served_at_s", maintain_order=True)
        .unique("request_id", keep="first", maintain_order=True)
        .with_columns(
            unit=pl.coalesce("user_pseudonym", "session_pseudonym", "request_id"),
            n_items=pl.col("item_ids").list.len(),
        )
        .with_row_index("list_row")
        .collect()
    )


def _shown(lists: pl.DataFrame) -> pl.DataFrame:
    """Return one row per item of each list, numbered."""
    return (
        impressions(lists.lazy())
        .with_columns(rank=pl.col("position") - pl.col("n_shown_before"))
        .select("user_pseudonym", *(name for name in IMPRESSIONS if name not in {*_FLAGS, "watch_value"}))
        .with_row_index("row")
        .collect()
    )


def _attributed(
    lists: pl.DataFrame, shown: pl.DataFrame, reactions: pl.DataFrame, window_s: float
) -> pl.DataFrame:
    """Return ``row`` (of ``shown``), ``kind`` and ``value`` of the reactions that belong to an impression."""
    names_request = pl.col("request_id").is_not_null()
    parts = [
        _by_request(lists, shown, reactions.filter(names_request)),
        _by_user(shown, reactions.filter(~names_request)),
    ]
    waited_s = pl.col("time_s") - pl.col("served_at_s")
    return pl.concat(parts).filter((waited_s >= 0.0) & (waited_s <= window_s)).select("row", "kind", "value")


_PART = ("row", "kind", "value", "time_s", "served_at_s")


def _by_request(lists: pl.DataFrame, shown: pl.DataFrame, named: pl.DataFrame) -> pl.DataFrame:
    of_list = lists.select("list_row", "request_id", "served_at_s", listed_for="user_pseudonym")
    concerned = named.join(of_list, on="request_id").filter(
        pl.col("listed_for").is_null() | (pl.col("listed_for") == pl.col("user_pseudonym"))
    )
    places = _places(shown, concerned, ["list_row", "item_id"])
    return concerned.join(places.drop("served_at_s"), on=["list_row", "item_id"]).select(*_PART)


def _by_user(shown: pl.DataFrame, unnamed: pl.DataFrame) -> pl.DataFrame:
    """Attribute to the latest list; without a row number where there is none."""
    key = ["user_pseudonym", "item_id"]
    places = _places(shown, unnamed, key)  # from old to new, so the latest of those at one time comes last
    return (
        unnamed.sort("time_s")
        .join_asof(
            places.with_columns(shown_s="served_at_s").sort("shown_s", maintain_order=True),
            left_on="time_s",
            right_on="shown_s",
            by=key,
            strategy="backward",
            check_sortedness=False,
        )
        .drop_nulls("row")
        .select(*_PART)
    )


def _places(shown: pl.DataFrame, reactions: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """Return where the items are that reactions may belong to, each once per list: in the upper place."""
    return (
        shown.lazy()
        .select("row", "list_row", "user_pseudonym", "item_id", "served_at_s")
        .join(reactions.lazy().select(key), on=key, how="semi", maintain_order="left")
        .unique(["list_row", "item_id"], keep="first", maintain_order=True)
        .select("row", "served_at_s", *key)
        .collect()
    )


def _flags(attributed: pl.DataFrame, n: int) -> list[pl.Series]:
    """Return for each flag whether an impression has it, each of length ``n``."""
    flags = []
    for name, kinds in _FLAGS.items():
        flag: NDArray[np.bool_] = np.zeros(n, dtype=np.bool_)
        flag[attributed.filter(pl.col("kind").is_in(kinds))["row"].to_numpy()] = True
        flags.append(pl.Series(name, flag))
    return flags


def _watch_value(attributed: pl.DataFrame, n: int) -> pl.Series:
    """Return the largest value of an impression's watches: players report again as the watch goes on."""
    watches = attributed.filter(pl.col("kind") == EventKind.WATCH.value).drop_nulls("value")
    largest = watches.group_by("row").agg(pl.col("value").max())
    values: NDArray[np.float32] = np.full(n, np.nan, dtype=np.float32)
    values[largest["row"].to_numpy()] = largest["value"].to_numpy()
    return pl.Series("watch_value", values).fill_nan(None)
