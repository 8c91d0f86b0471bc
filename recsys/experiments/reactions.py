"""What users did, as a table without names: the events that count towards what was shown."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import polars as pl

from recsys.core.pseudonyms import Pseudonyms
from recsys.data.events import POSITIVE_EVENTS, SEEN_EVENTS, Event, EventKind
from recsys.eventlog.reader import OnDamage, read_entries

_ROWS_PER_CHUNK = 65_536  # made into columns at once: what is held of the log as Python objects
_COUNTED = SEEN_EVENTS | {EventKind.RETRACTION}
CHOSEN_KINDS = sorted(kind.value for kind in POSITIVE_EVENTS)
"""Kinds that say the user wanted the item."""

REACTIONS = pl.Schema(
    {
        "event_id": pl.String(),
        "user_pseudonym": pl.String(),
        "kind": pl.Enum(sorted(kind.value for kind in _COUNTED)),
        "time_s": pl.Float64(),  # Unix time, UTC
        "item_id": pl.String(),  # null for retractions
        "value": pl.Float32(),  # of a watch the share that was watched; null when unknown
        "request_id": pl.String(),  # of the answer it follows from; null when the client does not say
        "retracts": pl.String(),  # event id of the same user; set for retractions alone
    }
)
"""Columns of reactions. Impressions and sign-ups that clients report are none."""


def reactions_of(events: Iterable[Event], pseudonyms: Pseudonyms) -> pl.DataFrame:
    """Return events as rows of :data:`REACTIONS`, in their order, repeats and retractions among them."""
    known: dict[str, str] = {}

    def rows() -> Iterator[tuple[object, ...]]:
        for event in events:
            if event.kind not in _COUNTED:
                continue
            who = known.get(event.user_id)
            if who is None:
                who = known[event.user_id] = pseudonyms.of(event.user_id)
            yield (
                event.event_id,
                who,
                event.kind.value,
                event.time_s,
                event.item_id,
                event.value,
                event.request_id,
                event.retracts,
            )

    left = rows()
    chunks = [pl.DataFrame(schema=REACTIONS)]
    while chunk := list(islice(left, _ROWS_PER_CHUNK)):
        columns = dict(zip(REACTIONS, zip(*chunk, strict=True), strict=True))
        chunks.append(pl.DataFrame(columns, schema=REACTIONS))
    return pl.concat(chunks)


def usable(reactions: pl.DataFrame) -> pl.DataFrame:
    """Return the reactions that count, from old to new: each event once, and none that was taken back.

    Of an event that was sent again the earliest counts, for the service sets a missing time at each arrival.
    A retraction takes its event away whichever came first; a retraction of a retraction does nothing.

    Args:
        reactions: columns of :data:`REACTIONS`, none of them covered by an erasure.
    """
    is_retraction = pl.col("kind") == EventKind.RETRACTION.value
    taken_back = reactions.filter(is_retraction).select("user_pseudonym", event_id="retracts")
    return (
        reactions.lazy()
        .filter(~is_retraction)
        .sort("time_s", maintain_order=True)
        .unique(["user_pseudonym", "event_id"], keep="first", maintain_order=True)
        .join(taken_back.lazy(), on=["user_pseudonym", "event_id"], how="anti", maintain_order="left")
        .collect()
    )


def read_reactions(folder: Path, pseudonyms: Pseudonyms, *, on_damage: OnDamage) -> pl.DataFrame:
    """Return the usable reactions of a whole log; erased users are not among them.

    Args:
        folder: the event log.
        pseudonyms: those of the exposures that are to be joined.
        on_damage: is told what could not be read.

    Raises:
        DataFormatError: there is no such folder.
    """
    erased_at_s: dict[str, float] = {}

    def events() -> Iterator[Event]:
        for entry in read_entries(folder, on_damage=on_damage):
            if isinstance(entry, Event):
                yield entry
            else:
                who = pseudonyms.of(entry.user_id)
                erased_at_s[who] = max(entry.at_s, erased_at_s.get(who, entry.at_s))

    found = reactions_of(events(), pseudonyms)  # all of the log: an erasure may stand behind what it covers
    until_s = pl.col("user_pseudonym").replace_strict(erased_at_s, default=None, return_dtype=pl.Float64)
    return usable(found.filter(~(pl.col("time_s") <= until_s).fill_null(value=False)))
