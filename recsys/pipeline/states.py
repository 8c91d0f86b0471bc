"""From stored user states to the batch of users that the stages understand.

Training cuts its users out of the log (:func:`recsys.features.users.batch_at`); serving comes through here.
The same past gives the same arrays, bit for bit: tests/integration/test_feature_parity.py holds both to it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import ShapeError
from recsys.data.log import Vocabulary
from recsys.features.users import UserBatch, user_batch
from recsys.state.store import UserState


@dataclass(frozen=True, slots=True)
class Session:
    """Positive items that a request brings along, from old to new; they need not be stored anywhere."""

    item_ids: Sequence[str] = ()
    times_s: Sequence[float] = ()  # Unix time of each


@dataclass(frozen=True, slots=True)
class _Owned:
    """Items of all users in one array: ``rows[k]`` is one of user ``owners[k]``."""

    owners: NDArray[np.intp]
    rows: NDArray[np.int32]

    def and_of(self, later: "_Owned") -> "_Owned":
        """Return the entries of both, those of ``later`` behind."""
        return _Owned(np.concatenate([self.owners, later.owners]), np.concatenate([self.rows, later.rows]))


def batch_of_states(
    states: Sequence[UserState],
    items: Vocabulary,
    *,
    now_s: NDArray[np.float64],
    context_rows: NDArray[np.int16],
    extra_excluded: Sequence[NDArray[np.int32]] | None = None,
    sessions: Sequence[Session] | None = None,
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

    Raises:
        ShapeError: something does not have one entry per state.
    """
    _check_sizes(len(states), now_s, context_rows, extra_excluded, sessions)
    past, known = _owned([state.item_ids for state in states], items)
    times_s = np.concatenate([np.zeros(0), *(state.times_s for state in states)])[known]
    hidden, _ = _owned([state.seen for state in states], items)
    if sessions is not None and any(session.item_ids for session in sessions):
        late, known = _owned([session.item_ids for session in sessions], items)
        late_times_s = np.array(list(chain.from_iterable(s.times_s for s in sessions)), np.float64)[known]
        hidden = hidden.and_of(late)
        past, times_s = _followed_by(past, times_s, late, late_times_s, len(items))
    if extra_excluded is not None:
        owners = np.repeat(np.arange(len(states)), [len(rows) for rows in extra_excluded])
        rows = np.concatenate([np.zeros(0, np.int32), *extra_excluded])
        hidden = hidden.and_of(_Owned(owners, rows))
    offsets = _offsets(past, len(states))
    return user_batch(
        past.rows,
        times_s,
        offsets[:-1],
        offsets[1:],
        now_s=now_s,
        context_rows=context_rows,
        excluded_offsets=_offsets(hidden, len(states)),
        excluded_rows=hidden.rows[np.argsort(hidden.owners, kind="stable")],
    )


def _owned(ids_of: Sequence[Collection[str]], items: Vocabulary) -> tuple[_Owned, NDArray[np.bool_]]:
    """Return the known items of each user in one array, and which of all the ids are known."""
    rows = items.rows(list(chain.from_iterable(ids_of)))
    owners = np.repeat(np.arange(len(ids_of)), [len(ids) for ids in ids_of])
    known = rows >= 0
    return _Owned(owners[known], rows[known]), known


def _followed_by(
    past: _Owned,
    times_s: NDArray[np.float64],
    late: _Owned,
    late_times_s: NDArray[np.float64],
    n_items: int,
) -> tuple[_Owned, NDArray[np.float64]]:
    """Put each user's late items behind the earlier ones, and leave out the earlier ones among them."""
    keys, late_keys = (owned.owners * n_items + owned.rows for owned in (past, late))
    earlier = ~np.isin(keys, late_keys)
    joined = _Owned(past.owners[earlier], past.rows[earlier]).and_of(late)
    order = np.argsort(joined.owners, kind="stable")
    all_times_s = np.concatenate([times_s[earlier], late_times_s])
    return _Owned(joined.owners[order], joined.rows[order]), all_times_s[order]


def _offsets(owned: _Owned, n_users: int) -> NDArray[np.int64]:
    counts = np.bincount(owned.owners, minlength=n_users)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


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
