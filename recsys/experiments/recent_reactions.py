"""Reactions as they come in, each attributed to one of the lists that are held, once and for all."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Final

import polars as pl

from recsys.core.pseudonyms import Pseudonyms
from recsys.data.events import Event, EventKind
from recsys.eventlog.entry import Entry, Erasure
from recsys.eventlog.reader import OnDamage
from recsys.experiments.reactions import REACTIONS, reactions_of
from recsys.experiments.served_parts import hashed
from recsys.streams.open import follow_entries

_ENTRIES_AT_ONCE: Final = 65_536
_SKEW_S: Final = 3_600.0  # a segment last written so long before holds no event of the time asked for

_WAITING = pl.Schema(
    {
        "event": pl.UInt64(),  # of the user and the event id
        "listed_for": pl.UInt64(),
        "kind": REACTIONS["kind"],
        "time_s": pl.Float64(),
        "item": pl.UInt64(),
        "request": pl.UInt64(),  # null when it names none
        "retracts": pl.UInt64(),
        "read_at_s": pl.Float64(),
    }
)
ATTRIBUTED = pl.Schema(
    {name: _WAITING[name] for name in ("event", "listed_for", "kind", "time_s", "item", "request")}
)
"""Columns of attributed reactions; ``request`` is of the list that each belongs to."""


class RecentReactions:
    """The reactions since some time, and what each belongs to.

    One that names a request is attributed as soon as its list is there; one that names none when it is
    ``patience_s`` old, for until then a later list may still come to the disk. What belongs to no list after
    ``patience_s`` is let go. Holds about 60 bytes per reaction.

    Args:
        log: the event log, a folder, which may be missing as before the first event, or Kafka's address.
        pseudonyms: those of the exposures.
        since_s: earlier events are passed over.
        window_s: as in :func:`recsys.experiments.feedback.join_feedback`.
        patience_s: how late exposures reach the disk at the latest.
        on_damage: is told which bytes of the log could not be read.
    """

    def __init__(
        self,
        log: Path | str,
        pseudonyms: Pseudonyms,
        *,
        since_s: float,
        window_s: float,
        patience_s: float,
        on_damage: OnDamage,
    ) -> None:
        self._log = follow_entries(log, since_s=since_s - _SKEW_S, on_damage=on_damage)
        self._pseudonyms = pseudonyms
        self._since_s = since_s
        self._window_s = window_s
        self._patience_s = patience_s
        self._waiting = pl.DataFrame(schema=_WAITING)
        self._attributed = pl.DataFrame(schema=ATTRIBUTED)
        self._taken_back: set[int] = set()
        self._erased_at_s: dict[str, float] = {}

    def advance(self, since_s: float) -> None:
        """Let go of reactions before a later time."""
        self._since_s = since_s
        self._attributed = self._attributed.filter(pl.col("time_s") >= since_s)

    def refresh(self, lists: pl.DataFrame, now_s: float) -> None:
        """Read what is new in the log, and attribute what can be.

        Args:
            lists: all that are held, columns of :data:`recsys.experiments.served_parts.SERVED`.
            now_s: Unix time.
        """
        entries = self._log.read()
        while chunk := list(islice(entries, _ENTRIES_AT_ONCE)):
            self._take(chunk, now_s)
            self._attribute(lists, now_s)
        self._attribute(lists, now_s)

    def attributed(self) -> pl.DataFrame:
        """Return the reactions that count, columns of :data:`ATTRIBUTED`: each once, none taken back."""
        return (
            self._attributed.sort("time_s", maintain_order=True)
            .unique("event", keep="first", maintain_order=True)
            .filter(~pl.col("event").is_in(pl.Series([*self._taken_back], dtype=pl.UInt64).implode()))
            .filter(self.is_kept("time_s"))
        )

    def is_kept(self, time_s: str) -> pl.Expr:
        """Return whether no erasure of the user (``listed_for``) covers the time in a column."""
        users = pl.Series([*self._erased_at_s], dtype=pl.String).hash()
        erased_at_s = pl.Series([*self._erased_at_s.values()], dtype=pl.Float64)
        until_s = pl.col("listed_for").replace_strict(
            users, erased_at_s, default=None, return_dtype=pl.Float64
        )
        return ~(pl.col(time_s) <= until_s).fill_null(value=False)

    def _take(self, entries: Iterable[Entry], now_s: float) -> None:
        """Take entries in; retractions and erasures work on what comes later too."""
        events: list[Event] = []
        for entry in entries:
            if isinstance(entry, Erasure):
                who = self._pseudonyms.of(entry.user_id)
                self._erased_at_s[who] = max(entry.at_s, self._erased_at_s.get(who, entry.at_s))
            elif entry.time_s >= self._since_s or entry.kind is EventKind.RETRACTION:
                events.append(entry)
        # pseudonyms are all equally long, so that two different pairs never read the same
        compact = reactions_of(events, self._pseudonyms).select(
            event=(pl.col("user_pseudonym") + pl.col("event_id")).hash(),
            listed_for=hashed("user_pseudonym"),
            kind="kind",
            time_s="time_s",
            item=hashed("item_id"),
            request=hashed("request_id"),
            retracts=(pl.col("user_pseudonym") + pl.col("retracts")),
            read_at_s=pl.lit(now_s),
        )
        compact = compact.with_columns(retracts=hashed("retracts"))
        undo = pl.col("kind") == EventKind.RETRACTION.value
        self._taken_back.update(compact.filter(undo & self.is_kept("time_s"))["retracts"].to_list())
        self._waiting = pl.concat([self._waiting, compact.filter(~undo)])

    def _attribute(self, lists: pl.DataFrame, now_s: float) -> None:
        """Attribute what can be, and let go of what never will."""
        if self._waiting.is_empty():
            return
        names_request = pl.col("request").is_not_null()
        named = _by_request(lists, self._waiting.filter(names_request))
        settled = self._waiting.filter(~names_request & (pl.col("time_s") <= now_s - self._patience_s))
        unnamed = _by_user(lists, settled)
        waited_s = pl.col("time_s") - pl.col("served_at_s")
        fits = pl.col("belongs") & (waited_s >= 0.0) & (waited_s <= self._window_s)
        found = pl.concat([named, unnamed]).filter(fits).select(*ATTRIBUTED)
        if found.height:  # in one piece, or after some hours there are thousands
            self._attributed = pl.concat([self._attributed, found], rechunk=True)
        done = pl.concat([named["event"], settled["event"]]).implode()
        too_late = names_request & (pl.col("read_at_s") <= now_s - self._patience_s)
        self._waiting = self._waiting.filter(~too_late & ~pl.col("event").is_in(done))


def _by_request(lists: pl.DataFrame, named: pl.DataFrame) -> pl.DataFrame:
    """Return the reactions whose list is there, and whether each ``belongs`` to it."""
    of_request = lists.lazy().select("request", "served_at_s", "items", of_list="listed_for")
    return (
        named.lazy()
        .join(of_request, on="request")
        .with_columns(
            belongs=pl.col("items").list.contains(pl.col("item")).fill_null(value=False)
            & (pl.col("of_list").is_null() | (pl.col("of_list") == pl.col("listed_for")))
        )
        .select(*ATTRIBUTED, "served_at_s", "belongs")
        .collect()
    )


def _by_user(lists: pl.DataFrame, unnamed: pl.DataFrame) -> pl.DataFrame:
    """Return the reactions to which a user's latest list with the item is there."""
    key = ["listed_for", "item"]
    shown = (
        lists.lazy()
        .select("listed_for", "served_at_s", "request", item="items")
        .join(unnamed.lazy().select("listed_for"), on="listed_for", how="semi", maintain_order="left")
        .explode("item")
        .join(unnamed.lazy().select(key), on=key, how="semi", maintain_order="left")
        .with_columns(shown_s="served_at_s")
        .sort("shown_s", maintain_order=True)  # of two lists at one time the later one is taken
        .collect()
    )
    return (
        unnamed.drop("request")
        .sort("time_s")
        .join_asof(
            shown,
            left_on="time_s",
            right_on="shown_s",
            by=key,
            strategy="backward",
            check_sortedness=False,
        )
        .drop_nulls("request")
        .with_columns(belongs=pl.lit(value=True))
        .select(*ATTRIBUTED, "served_at_s", "belongs")
    )
