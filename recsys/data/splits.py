"""Which past a model may learn from, and which users are asked about what came next."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import FieldError
from recsys.data.log import InteractionLog


@dataclass(frozen=True, slots=True)
class Split:
    """A question to each test user, the answer, and the past that everybody may know.

    Targets are the items a user met after the stop, each once, in order of time, without those in the
    user's history (a recommender never repeats what was seen, so nobody could name them).
    """

    full: InteractionLog
    train: InteractionLog  # the same users, only positions a model may learn from
    test_users: NDArray[np.int64]  # shape (tests,), never falling user rows of ``full`` (and of ``train``)
    test_stops: NDArray[np.int64]  # shape (tests,), position in ``full`` where the user's history ends
    target_offsets: NDArray[np.int64]  # shape (tests + 1,)
    target_rows: NDArray[np.int32]  # user t's answers are target_rows[offsets[t]:offsets[t + 1]], never empty
    now_s: NDArray[np.float64]  # shape (tests,), Unix time of the question
    cold: NDArray[np.bool_]  # shape (tests,), no history before the question
    n_seen_targets: int  # left out because they are in the history
    n_repeated_targets: int  # left out because the user met them twice after the stop
    n_untested_users: int  # have positions held out, but every one was left out

    def __len__(self) -> int:
        return len(self.test_users)

    @property
    def n_targets(self) -> int:
        """How many answers there are over all test users."""
        return len(self.target_rows)


def leave_last_out(log: InteractionLog, n_last: int = 1) -> Split:
    """Hold out the last ``n_last`` positions of every user who has more than those.

    Models still learn from other users' later positions: the protocol of most published figures, not what
    serving sees. :func:`global_time` has no such leak.

    Args:
        log: all positions.
        n_last: positions to hold out per user, at least 1.

    Returns:
        The split; the question is asked at the time of the first position held out.

    Raises:
        FieldError: ``n_last`` is below 1.
    """
    if n_last < 1:
        raise FieldError("n_last", str(n_last), "1 or more")
    stops = np.where(log.lengths > n_last, log.offsets[1:] - n_last, log.offsets[1:])
    return _split(log, stops, now_s=None)


def each_of_the_last(log: InteractionLog, n_last: int) -> Split:
    """Hold out the last ``n_last`` positions of every user who has more; each is a question of its own.

    Many questions of few users, to choose settings by: the answers to the earlier questions are in the
    history of the later ones, but no model learns from any of them.

    Args:
        log: all positions.
        n_last: questions per user, at least 1; an item that the user has met before is no question.

    Returns:
        The split; a user comes once per question, and each question is asked at the time of its answer.

    Raises:
        FieldError: ``n_last`` is below 1.
    """
    whole = leave_last_out(log, n_last)
    positions = np.arange(len(log.item_rows))
    stops = np.repeat(np.where(log.lengths > n_last, log.offsets[1:] - n_last, log.offsets[1:]), log.lengths)
    asked = np.flatnonzero((positions >= stops) & (_first_meeting(log) == positions))
    return replace(
        whole,
        test_users=log.user_rows[asked].astype(np.int64),
        test_stops=asked,
        target_offsets=np.arange(len(asked) + 1, dtype=np.int64),
        target_rows=log.item_rows[asked],
        now_s=log.times_s[asked],
        cold=np.zeros(len(asked), dtype=np.bool_),
    )


def global_time(log: InteractionLog, cut_s: float) -> Split:
    """Hold out everything from ``cut_s`` on; every user active since then is asked at that moment.

    Args:
        log: all positions.
        cut_s: Unix time; positions at or after it are the future.

    Returns:
        The split; users without history before the cut are marked ``cold``.

    Raises:
        FieldError: ``cut_s`` is not finite.
    """
    if not np.isfinite(cut_s):
        raise FieldError("cut_s", str(cut_s), "a finite Unix time")
    past = np.concatenate([[0], np.cumsum(log.times_s < cut_s)])[log.offsets]
    return _split(log, log.offsets[:-1] + np.diff(past), now_s=cut_s)


def cut_for(log: InteractionLog, test_share: float = 0.1) -> float:
    """Return the time from which on the newest ``test_share`` of all positions lies.

    Ties at the cut all go to the future, so the share may come out larger.

    Raises:
        FieldError: ``test_share`` is not strictly between 0 and 1, or the log is empty.
    """
    if not 0.0 < test_share < 1.0:
        raise FieldError("test_share", str(test_share), "strictly between 0 and 1")
    n = len(log.times_s)
    if n == 0:
        raise FieldError("log", "no positions", "at least one")
    return float(np.sort(log.times_s)[min(n - 1, int(n * (1.0 - test_share)))])


def _split(log: InteractionLog, stops: NDArray[np.int64], *, now_s: float | None) -> Split:
    held_out = np.arange(len(log.item_rows)) >= np.repeat(stops, log.lengths)
    positions = np.flatnonzero(held_out)
    first = _first_meeting(log)[positions]
    users = log.user_rows[positions].astype(np.int64)
    seen = first < stops[users]
    new = first == positions
    per_user = np.bincount(users[new], minlength=log.n_users)
    asked = np.flatnonzero(per_user)
    return Split(
        full=log,
        train=log.select(~held_out),
        test_users=asked.astype(np.int64),
        test_stops=stops[asked],
        target_offsets=np.concatenate([[0], np.cumsum(per_user[asked])]).astype(np.int64),
        target_rows=log.item_rows[positions[new]],
        now_s=log.times_s[stops[asked]] if now_s is None else np.full(len(asked), now_s),
        cold=stops[asked] == log.offsets[asked],
        n_seen_targets=int(seen.sum()),
        n_repeated_targets=int((~seen & ~new).sum()),
        n_untested_users=int(len(np.unique(users)) - len(asked)),
    )


def _first_meeting(log: InteractionLog) -> NDArray[np.int64]:
    """Return for each position the first position at which its user met its item, shape (positions,)."""
    pair = log.user_rows.astype(np.int64) * max(1, log.n_items) + log.item_rows
    _, first, which = np.unique(pair, return_index=True, return_inverse=True)
    meeting: NDArray[np.int64] = first[which]
    return meeting
