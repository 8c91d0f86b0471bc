"""What became of the arms' lists, kept up to date while they are served: for guardrails that look on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recsys.core.pseudonyms import Pseudonyms
from recsys.data.events import EventKind
from recsys.eventlog.reader import OnDamage
from recsys.experiments.feedback import DEFAULT_WINDOW_S
from recsys.experiments.reactions import CHOSEN_KINDS
from recsys.experiments.recent_reactions import RecentReactions
from recsys.experiments.served_parts import ServedParts

_KINDS = {"clicks": EventKind.CLICK, "watches": EventKind.WATCH, "skips": EventKind.SKIP}
_SUMS = ("lists", "impressions", *_KINDS)
_DRAFTED = ("drafted_chosen", "drafted_canary")


@dataclass(frozen=True, slots=True)
class ArmTally:
    """What an arm showed, and what became of it."""

    units: int  # users; of anonymous traffic sessions, else requests
    lists: int
    impressions: int
    clicks: int  # impressions that were clicked, and so on: not events
    watches: int
    skips: int
    distinct_items: int  # in the first ``Tally.coverage_lists`` lists that this arm served


@dataclass(frozen=True, slots=True)
class Tally:
    """All that is known of the arms since some time."""

    arms: Mapping[str, ArmTally]
    units: pl.DataFrame
    """One row per unit: arm, lists, impressions, clicks, watches, skips; of interleaved lists the items that
    were chosen, drafted_chosen, and those of them that the canary had picked, drafted_canary."""
    n_crossed: int  # units that more than one arm served; they belong to the first one with all their lists
    coverage_lists: int  # equally many of each arm, for more lists show more items
    since_s: float  # later than asked for when there were too many lists to hold
    as_of_s: float | None  # when the newest list that was read was asked for; None without any
    read_at_s: float
    n_unreadable: int  # exposure files


class Follower:
    """Answers "what of the arms since T?" every few seconds; each byte on the disk is read once.

    Lists whose arm was not dealt by chance are left out, degraded ones are not. It keeps nothing of its own:
    killed and begun again it says the same, for exposures and the event log are all that it knows. Files that
    were rewritten (``marquee exposures forget``) are read again, those that were removed count no longer.

    Memory: 130 bytes per list of ten since T, at most ``max_lists`` of them, and 60 per reaction to them. A
    T that moves forward lets the lists before it go; one that moves back reads everything anew.

    Not for several threads at once.

    Args:
        exposures: the folder of exposures.
        events: the event log, a folder or Kafka's address.
        pseudonyms: the key that the routers use.
        window_s: as in :func:`recsys.experiments.feedback.join_feedback`, whose rules hold.
        patience_s: how late exposures reach the disk at the latest: the writer's ``max_age_s``, and more.
            Reactions that name no request count only after it.
        max_lists: how many lists are held.
        max_coverage_lists: how many lists of each arm are compared for their distinct items.
        on_damage: is told which bytes of the event log could not be read.
    """

    def __init__(
        self,
        exposures: Path,
        events: Path | str,
        pseudonyms: Pseudonyms,
        *,
        window_s: float = DEFAULT_WINDOW_S,
        patience_s: float = 60.0,
        max_lists: int = 2_000_000,
        max_coverage_lists: int = 10_000,
        on_damage: OnDamage = lambda _: None,
    ) -> None:
        self._exposures = exposures
        self._events = events
        self._pseudonyms = pseudonyms
        self._window_s = window_s
        self._patience_s = patience_s
        self._max_lists = max_lists
        self._max_coverage_lists = max_coverage_lists
        self._on_damage = on_damage
        self._since_s: float | None = None
        self._served = ServedParts(exposures, max_lists=max_lists)
        self._reactions = self._reactions_since(0.0)

    def tally(self, since_s: float, now_s: float) -> Tally:
        """Read what is new, and return what became of the lists since a time.

        Args:
            since_s: Unix time; earlier lists do not count.
            now_s: Unix time.

        Raises:
            OSError: a folder or file is there and cannot be read.
            UnavailableError: Kafka does not answer.
        """
        if self._since_s is None or since_s < self._since_s:
            self._served = ServedParts(self._exposures, max_lists=self._max_lists)
            self._reactions = self._reactions_since(since_s)
        elif since_s > self._since_s:
            self._reactions.advance(since_s)
        self._since_s = since_s
        self._served.refresh(since_s)
        held = self._served.lists()
        self._reactions.refresh(held, now_s)
        return self._tally(held, max(since_s, self._served.complete_since_s), now_s)

    def _reactions_since(self, since_s: float) -> RecentReactions:
        return RecentReactions(
            self._events,
            self._pseudonyms,
            since_s=since_s,
            window_s=self._window_s,
            patience_s=self._patience_s,
            on_damage=self._on_damage,
        )

    def _tally(self, held: pl.DataFrame, since_s: float, now_s: float) -> Tally:
        counts = (pl.col("served_at_s") >= since_s) & ~pl.col("override")
        lists = held.filter(counts & self._reactions.is_kept("served_at_s"))
        units = self._units(lists)
        n_coverage, distinct = _distinct_items(lists, self._max_coverage_lists)
        totals = units.group_by("arm").agg(pl.len().alias("units"), pl.col(*_SUMS).sum())
        arms = {
            row["arm"]: ArmTally(distinct_items=distinct.get(row.pop("arm"), 0), **row)
            for row in totals.sort("arm").to_dicts()
        }
        return Tally(
            arms,
            units.drop("crossed"),
            int(units["crossed"].sum()),
            n_coverage,
            since_s,
            float(held["served_at_s"][-1]) if held.height else None,
            now_s,
            self._served.n_unreadable,
        )

    def _units(self, lists: pl.DataFrame) -> pl.DataFrame:
        """Return one row per unit, in the arm of its first list."""
        once = self._reactions.attributed().unique(["request", "item", "kind"])
        of_list = once.group_by("request").agg(
            (pl.col("kind") == kind.value).sum().alias(name) for name, kind in _KINDS.items()
        )
        drafted = _chosen_of_drafted(lists, once)
        return (
            lists.lazy()
            .select("unit", "arm", "request", impressions=pl.col("items").list.len())
            .join(of_list.lazy(), on="request", how="left", maintain_order="left")
            .join(drafted.lazy(), on="request", how="left", maintain_order="left")
            .group_by("unit", maintain_order=True)
            .agg(
                pl.col("arm").first(),
                pl.len().alias("lists"),
                pl.col("impressions", *_KINDS, *_DRAFTED).fill_null(0).sum(),
                crossed=pl.col("arm").n_unique() > 1,
            )
            .drop("unit")
            .collect()
        )


def _chosen_of_drafted(lists: pl.DataFrame, once: pl.DataFrame) -> pl.DataFrame:
    """Return how many items of each interleaved list were chosen, and how many of those the canary picked."""
    picks = (
        lists.filter(pl.col("by_canary").is_not_null())
        .select("request", "by_canary", item="items")
        .explode("item", "by_canary")
    )
    chosen = once.filter(pl.col("kind").is_in(CHOSEN_KINDS)).unique(["request", "item"])
    return (
        chosen.join(picks, on=["request", "item"])
        .group_by("request")
        .agg(pl.len().alias(_DRAFTED[0]), pl.col("by_canary").sum().alias(_DRAFTED[1]))
    )


def _distinct_items(lists: pl.DataFrame, at_most: int) -> tuple[int, dict[str, int]]:
    """Return how many lists of each arm were looked at, and how many items they show; the first lists."""
    n = min([at_most, *lists.group_by("arm").len()["len"]]) if lists.height else 0
    first = lists.group_by("arm", maintain_order=True).head(n).select("arm", "items").explode("items")
    return n, dict(first.group_by("arm").agg(pl.col("items").drop_nulls().n_unique()).rows())
