"""From the histories of a data set to the user state: its users are known from the first request."""

from collections.abc import Callable, Iterator

import polars as pl

from recsys.data.events import Event, EventKind
from recsys.data.schema import Kind
from recsys.state.store import UserStateStore

LATEST_PER_USER = 1_000
"""As many as user state remembers one by one: enough to know what must not come back."""

_EVENTS_PER_CALL = 2_000


def seed_state(
    interactions: pl.DataFrame,
    state: UserStateStore,
    *,
    name: Callable[[str], str] = str,
    on_done: Callable[[int], None] = lambda _: None,
) -> int:
    """Apply the latest interactions of every user; doing it again changes nothing. Return how many.

    Args:
        interactions: schema :data:`recsys.data.schema.INTERACTIONS`.
        state: where they go.
        name: turns a user id of the data into what the user is called in the state.
        on_done: is told how many have been applied so far.
    """
    kept = (
        interactions.filter(pl.col("kind") != Kind.IMPRESSION)
        .sort("user_id", "time_s", maintain_order=True)
        .group_by("user_id", maintain_order=True)
        .tail(LATEST_PER_USER)
    )
    for start in range(0, kept.height, _EVENTS_PER_CALL):
        state.apply(list(_events(kept[start : start + _EVENTS_PER_CALL], name)))
        on_done(min(start + _EVENTS_PER_CALL, kept.height))
    return kept.height


def _events(rows: pl.DataFrame, name: Callable[[str], str]) -> Iterator[Event]:
    columns = ("user_id", "item_id", "kind", "time_s", "value")
    for user_id, item_id, kind, time_s, value in rows.select(columns).iter_rows():
        yield Event(
            event_id=f"seed:{kind}:{item_id}:{time_s!r}",
            user_id=name(user_id),
            kind=EventKind(kind),
            time_s=time_s,
            item_id=item_id,
            value=value,
        )
