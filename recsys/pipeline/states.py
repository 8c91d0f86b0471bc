"""From stored user states to the batch of users that the stages understand.

Training cuts its users out of the log (:func:`recsys.features.users.batch_at`); serving comes through here.
The same past gives the same arrays, bit for bit: tests/integration/test_feature_parity.py holds both to it.
"""

from collections.abc import Collection, Sequence, Sized
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.compiled import compiled
from recsys.core.errors import ShapeError
from recsys.data.log import Vocabulary
from recsys.features.users import UserBatch, user_batch
from recsys.state.store import UserState


@dataclass(frozen=True, slots=True)
class Session:
    """Positive items that a request brings along, from old to new; they need not be stored anywhere."""

    item_ids: Sequence[str] = ()
    times_s: Sequence[float] = ()  # Unix time of each


NO_SESSION = Session()
_NOTHING: NDArray[np.int32] = np.zeros(0, dtype=np.int32)


class _Ragged(NamedTuple):
    """Items of all users in one array: user u has ``rows[offsets[u]:offsets[u + 1]]``."""

    rows: NDArray[np.int32]
    offsets: NDArray[np.int64]  # shape (users + 1,)


def batch_of_states(
    states: Sequence[UserState],
    items: Vocabulary,
    *,
    now_s: NDArray[np.float64],
    context_rows: NDArray[np.int16],
    extra_excluded: Sequence[NDArray[np.int32]] | None = None,
    sessions: Sequence[Session] | None = None,
    n_learned: int | None = None,
) -> UserBatch:
    """Return users as their states, and what their requests bring along, tell of them.

    What a session holds comes after what is stored; an item in both counts once, at the later place. Ids
    that ``items`` does not know are passed over.

    Args:
        states: what is stored of each user.
        items: gives item ids their rows.
        now_s: shape (users,), the moment of each question.
        context_rows: shape (users,), 0 = unknown.
        extra_excluded: per user, item rows (none negative) to leave out besides what the state has seen and
            the session holds; repeats do no harm.
        sessions: one per user, ``Session()`` where there is none.
        n_learned: items from this row on are hidden from who has met them, and say nothing of their taste: no
            model knows them. None: there are none.

    Raises:
        ShapeError: something does not have one entry per state.
    """
    _check_sizes(len(states), now_s, context_rows, extra_excluded, sessions)
    sessions = sessions if sessions is not None else [NO_SESSION] * len(states)
    extra = extra_excluded if extra_excluded is not None else [_NOTHING] * len(states)
    past, times_s = (
        _rows_of([state.item_ids for state in states], items),
        _joined([s.times_s for s in states]),
    )
    late = _rows_of([session.item_ids for session in sessions], items)
    late_times_s = np.array(list(chain.from_iterable(s.times_s for s in sessions)), dtype=np.float64)
    seen = _rows_of([state.seen for state in states], items)
    left_out = _Ragged(_joined(extra).astype(np.int32, copy=False), _offsets(extra))
    lived, hidden = _room(past, late), _room(seen, late, left_out)
    lived_times_s = np.empty(len(lived.rows))
    _live(_learned(past, n_learned), times_s, _learned(late, n_learned), late_times_s, lived, lived_times_s)
    _hide(seen, late, left_out, hidden)
    return user_batch(
        lived.rows,
        lived_times_s,
        lived.offsets[:-1],
        lived.offsets[1:],
        now_s=now_s,
        context_rows=context_rows,
        excluded_offsets=hidden.offsets,
        excluded_rows=hidden.rows[: hidden.offsets[-1]],
    )


def _rows_of(ids_of: Sequence[Collection[str]], items: Vocabulary) -> _Ragged:
    """Return the rows of the ids of each user, -1 for those that ``items`` does not know."""
    return _Ragged(items.rows(list(chain.from_iterable(ids_of))), _offsets(ids_of))


def _learned(met: _Ragged, n_learned: int | None) -> _Ragged:
    """Return items met without those that no model knows."""
    if n_learned is None:
        return met
    return _Ragged(np.where(met.rows < n_learned, met.rows, np.int32(-1)), met.offsets)


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0)


def _offsets(parts: Sequence[Sized]) -> NDArray[np.int64]:
    return np.array([0, *accumulate(map(len, parts))], dtype=np.int64)


def _room(*parts: _Ragged) -> _Ragged:
    """Return room for the entries of several, to be filled."""
    rows = np.empty(sum(len(part.rows) for part in parts), dtype=np.int32)
    return _Ragged(rows, np.zeros_like(parts[0].offsets))


@compiled
def _live(
    past: _Ragged,
    times_s: NDArray[np.float64],
    late: _Ragged,
    late_times_s: NDArray[np.float64],
    lived: _Ragged,
    lived_times_s: NDArray[np.float64],
) -> None:
    """Put each user's late items behind the earlier ones, less those among the late; only known ones."""
    end = 0
    for user in range(len(past.offsets) - 1):
        own = late.rows[late.offsets[user] : late.offsets[user + 1]]
        for place in range(past.offsets[user], past.offsets[user + 1]):
            row = past.rows[place]
            again = False
            for late_row in own:
                again |= late_row == row
            if row >= 0 and not again:
                lived.rows[end], lived_times_s[end] = row, times_s[place]
                end += 1
        for place in range(late.offsets[user], late.offsets[user + 1]):
            if late.rows[place] >= 0:
                lived.rows[end], lived_times_s[end] = late.rows[place], late_times_s[place]
                end += 1
        lived.offsets[user + 1] = end


@compiled
def _hide(seen: _Ragged, late: _Ragged, left_out: _Ragged, hidden: _Ragged) -> None:
    """Join what each user must not get, the known items of it."""
    end = 0
    for user in range(len(seen.offsets) - 1):
        for part in (seen, late, left_out):
            for row in part.rows[part.offsets[user] : part.offsets[user + 1]]:
                if row >= 0:
                    hidden.rows[end] = row
                    end += 1
        hidden.offsets[user + 1] = end


def _check_sizes(
    n_users: int,
    now_s: NDArray[np.float64],
    context_rows: NDArray[np.int16],
    extra_excluded: Sequence[NDArray[np.int32]] | None,
    sessions: Sequence[Session] | None,
) -> None:
    sizes = {
        "now_s": len(now_s),
        "context_rows": len(context_rows),
        "extra_excluded": n_users if extra_excluded is None else len(extra_excluded),
        "sessions": n_users if sessions is None else len(sessions),
    }
    for name, size in sizes.items():
        if size != n_users:
            raise ShapeError(name, (n_users,), (size,))
