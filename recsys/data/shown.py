"""Impressions as arrays: sessions one after another, each with the items that a user was shown in it.

A session is what is shown without a break. Which items it would hold was decided when it began, or soon
after; so nothing that the user did within it counts as known before any of its items.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.errors import FieldError
from recsys.data.impressions import Target
from recsys.data.log import InteractionLog, Vocabulary

SESSION_GAP_S = 1_800.0
"""So long without an impression ends a session: half an hour, the habit of web analytics."""


@dataclass(frozen=True, slots=True)
class ShownLog:
    """What was shown; session ``s`` owns impressions offsets[s]:offsets[s + 1], in order of time.

    Users are numbers from 0 in the order of their ids; a user may be unknown to the interaction log.
    """

    offsets: NDArray[np.int64]  # shape (sessions + 1,)
    users: NDArray[np.int64]  # shape (sessions,), never falling
    log_users: NDArray[np.int64]  # shape (sessions,), user row of the interaction log, -1 = unknown to it
    stops: NDArray[np.int64]  # shape (sessions,), position in that log where the past of the session ends
    starts_s: NDArray[np.float64]  # shape (sessions,), Unix time of the first impression
    ends_s: NDArray[np.float64]  # shape (sessions,), Unix time of the last impression
    item_rows: NDArray[np.int32]  # shape (impressions,)
    surfaces: NDArray[np.int64]  # shape (impressions,), equal numbers, equal context
    at_random: NDArray[np.bool_]  # shape (impressions,)
    answers: Mapping[Target, NDArray[np.bool_]]  # shape (impressions,) each
    n_unknown_items: int  # impressions left out because the catalogue does not have their item

    @property
    def n_sessions(self) -> int:
        """How many sessions there are."""
        return len(self.users)

    @property
    def user_of(self) -> NDArray[np.int64]:
        """The user of every impression, shape (impressions,)."""
        return np.repeat(self.users, np.diff(self.offsets))

    def of_sessions(self, sessions: NDArray[np.bool_]) -> "ShownLog":
        """Keep the marked sessions."""
        return self.of_impressions(np.repeat(sessions, np.diff(self.offsets)))

    def of_impressions(self, kept: NDArray[np.bool_]) -> "ShownLog":
        """Keep the marked impressions, and the sessions that have any left; their pasts and ends stay."""
        session_of = np.repeat(np.arange(self.n_sessions), np.diff(self.offsets))
        lengths = np.bincount(session_of[kept], minlength=self.n_sessions)
        sessions = lengths > 0
        return ShownLog(
            np.concatenate([[0], np.cumsum(lengths[sessions])]).astype(np.int64),
            self.users[sessions],
            self.log_users[sessions],
            self.stops[sessions],
            self.starts_s[sessions],
            self.ends_s[sessions],
            self.item_rows[kept],
            self.surfaces[kept],
            self.at_random[kept],
            {target: values[kept] for target, values in self.answers.items()},
            self.n_unknown_items,
        )


def with_stops_in(shown: ShownLog, old: InteractionLog, new: InteractionLog) -> ShownLog:
    """Return the same with its stops as positions in another log of the same users.

    Args:
        shown: with stops in ``old``.
        old: whose users' pasts begin like those in ``new``.
        new: holds at least the past of every session.
    """
    known = shown.log_users >= 0
    users = shown.log_users[known]
    stops = shown.stops.copy()
    stops[known] += new.offsets[users] - old.offsets[users]
    return replace(shown, stops=stops)


def encode_impressions(
    impressions: pl.DataFrame, items: Vocabulary, log: InteractionLog, *, gap_s: float = SESSION_GAP_S
) -> ShownLog:
    """Turn a table of impressions into arrays.

    Args:
        impressions: schema :data:`recsys.data.impressions.IMPRESSIONS`.
        items: the catalogue's rows; impressions of other items are left out and counted.
        log: what the same users did; every session is told how much of it came strictly before.
        gap_s: more than so many seconds between two impressions of a user, and a session has ended.

    Raises:
        FieldError: ``gap_s`` is below 0, or no impression is left.
    """
    if not gap_s >= 0.0:
        raise FieldError("gap_s", str(gap_s), "0 or more seconds")
    item_rows = items.rows(impressions["item_id"].to_list())
    known = item_rows >= 0
    table = (
        impressions.with_columns(pl.Series("item_row", item_rows))
        .filter(known)
        .sort("user_id", "time_s", maintain_order=True)
    )
    if table.height == 0:
        raise FieldError("impressions", "none of an item of the catalogue", "at least one")
    times_s = table["time_s"].to_numpy()
    new_user = table["user_id"].ne_missing(table["user_id"].shift(1)).to_numpy()
    first = np.flatnonzero(new_user | (np.diff(times_s, prepend=-np.inf) > gap_s))
    log_users = _rows_in(log, table["user_id"].gather(first))
    return ShownLog(
        np.append(first, table.height).astype(np.int64),
        (np.cumsum(new_user) - 1)[first].astype(np.int64),
        log_users,
        _stops(log, log_users, times_s[first]),
        times_s[first],
        times_s[np.append(first[1:], table.height) - 1],
        table["item_row"].to_numpy(),
        table["context"].fill_null("").rank("dense").to_numpy().astype(np.int64),
        table["at_random"].to_numpy(),
        {
            target: table[target].to_numpy().astype(np.bool_)
            for target in Target
            if table[target].null_count() == 0
        },
        int((~known).sum()),
    )


def _rows_in(log: InteractionLog, user_ids: pl.Series) -> NDArray[np.int64]:
    return Vocabulary(log.user_ids).rows(user_ids.to_list()).astype(np.int64)


def _stops(
    log: InteractionLog, log_users: NDArray[np.int64], starts_s: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return where each session's past ends: the first position of its user that is not before the start."""
    known = log_users >= 0
    stops = np.zeros(len(log_users), dtype=np.int64)
    lows = log.offsets[log_users[known]]
    highs = log.offsets[log_users[known] + 1]
    wanted = starts_s[known]
    while np.any(lows < highs):  # halving, for all sessions at once
        middle = (lows + highs) // 2
        before = (lows < highs) & (log.times_s[np.minimum(middle, len(log.times_s) - 1)] < wanted)
        highs = np.where((lows < highs) & ~before, middle, highs)
        lows = np.where(before, middle + 1, lows)
    stops[known] = lows
    return stops
