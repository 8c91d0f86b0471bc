"""The sums that the sequential regression is made of, kept so that they can be changed.

A row of the regression is a moment of a life: the two decayed sums of the items before it, and the item that
came next. X'X and X'Y are sums over rows, and a row's share of them are sums over ordered pairs of items. So
what a new event adds is one more row, what a person adds are the rows of one life, and to take either back
is to subtract the same numbers. A full count and every change of one go through :func:`add_lives`.

Per ordered pair (i, j), i the earlier or the same life's earlier place, six sums are kept, with s and l the
factors of the short and the long sum, and S_xy(q) = w(q + 1) + x y S_xy(q + 1) the weight of all later rows
that hold position q twice (a geometric series when every row counts 1): S_ss s^lag, S_sl s^lag, S_sl l^lag,
S_ll l^lag, and, of the next item, w s^(lag - 1) and w l^(lag - 1).

Numbers are float64 in memory: a sum of n terms is off by at most n 2^-53 of the sum of their sizes.

Source: sufficient statistics of weighted least squares, updated as in recursive least squares (Gauss 1821;
Plackett, "Some Theorems in Least Squares", Biometrika 1950).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.core.compiled import compiled

_FORGOTTEN = 1e-12  # a row counts no more for a position when its factors have fallen below this
_TILE = 64
N_SUMS = 6
"""Sums per ordered pair of items."""


@dataclass(frozen=True, slots=True)
class Decays:
    """How the two sums forget."""

    factors: tuple[float, float]  # what an item counts after one more item, in the short and the long sum
    lengths: tuple[int, int]  # pairs further apart than this are left out

    @property
    def reach(self) -> int:
        """How far before the first new row positions can still be in it."""
        return int(np.ceil(np.log(_FORGOTTEN) / (2.0 * np.log(max(self.factors)))))


@dataclass(frozen=True, slots=True)
class Lives:
    """Everybody's items one after another, as the sums see them."""

    offsets: NDArray[np.int64]  # shape (users + 1,)
    places: NDArray[
        np.int32
    ]  # shape (positions,): among the items that take part; their number: not among them
    weights: NDArray[np.float64]  # shape (positions,): of the row whose next item stands here


@dataclass(frozen=True, slots=True)
class Moments:
    """The sums over all rows, for the items that take part."""

    item_rows: NDArray[np.int32]  # shape (n,), rising: the items that take part
    pairs: NDArray[np.float64]  # shape (n, n, N_SUMS): see above
    own: NDArray[np.float64]  # shape (n, 3): S_ss, S_sl and S_ll of the places of one item

    def __len__(self) -> int:
        return len(self.item_rows)

    @classmethod
    def none(cls, item_rows: NDArray[np.int32]) -> "Moments":
        """Return the sums over no row."""
        n = len(item_rows)
        return cls(item_rows, np.zeros((n, n, N_SUMS)), np.zeros((n, 3)))

    def carried(self, item_rows: NDArray[np.int32], factor: float) -> "Moments":
        """Return the sums times ``factor`` for other items: those that were there keep theirs."""
        _, old, new = np.intersect1d(self.item_rows, item_rows, assume_unique=True, return_indices=True)
        if len(old) == len(self) == len(item_rows):
            return Moments(item_rows, self.pairs * factor, self.own * factor)
        moments = Moments.none(item_rows)
        moments.own[new] = self.own[old] * factor
        _carry(self.pairs, old, new, factor, moments.pairs)
        return moments

    def system(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return X'X, shape (2n, 2n), its lower half alone, and X'Y, shape (2n, n); columns first."""
        n = len(self)
        gram = np.zeros((2 * n, 2 * n), dtype=np.float32, order="F")
        cross = np.zeros((2 * n, n), dtype=np.float32, order="F")
        _fill(self.pairs, self.own, gram, cross)
        return gram, cross


def places_of(item_rows: NDArray[np.int32], n_items: int) -> NDArray[np.int32]:
    """Return the place of every item among those that take part, shape (n_items,); their number: none."""
    places = np.full(n_items, len(item_rows), dtype=np.int32)
    places[item_rows] = np.arange(len(item_rows), dtype=np.int32)
    return places


def add_lives(
    moments: Moments,
    lives: Lives,
    decays: Decays,
    *,
    starts: NDArray[np.int64] | None = None,
    sign: float = 1.0,
    only: NDArray[np.bool_] | None = None,
) -> None:
    """Add rows to the sums, in place.

    Args:
        moments: is changed.
        lives: of users.
        decays: of the sums; the same at every call.
        starts: shape (users,): of each life, the rows whose next item stands here or later are added, all
            the others are only remembered; None: all of them.
        sign: -1.0 takes back what +1.0 has added.
        only: shape (n,): only pairs with one of the marked items; None: all pairs.
    """
    _add_lives(
        lives.places,
        lives.offsets,
        lives.offsets[:-1] if starts is None else starts,
        lives.weights,
        sign,
        np.ones(len(moments), dtype=np.bool_) if only is None else only,
        np.asarray(decays.factors)[:, None] ** np.arange(max(decays.lengths) + 1),
        decays.lengths[0],
        decays.reach,
        moments.pairs,
        moments.own,
    )


@compiled
def _add_lives(
    places: NDArray[np.int32],
    offsets: NDArray[np.int64],
    starts: NDArray[np.int64],
    weights: NDArray[np.float64],
    sign: float,
    only: NDArray[np.bool_],
    powers: NDArray[np.float64],
    short_length: int,
    reach: int,
    pairs: NDArray[np.float64],
    own: NDArray[np.float64],
) -> None:
    n, longest = len(own), powers.shape[1] - 1
    short, long = powers[0, 1], powers[1, 1]
    for user in range(len(starts)):
        begin, end, start = offsets[user], offsets[user + 1], starts[user]
        if start >= end:
            continue
        later_ss = later_sl = later_ll = 0.0
        for at in range(end - 1, max(begin, start - 1 - reach) - 1, -1):
            behind = sign * weights[at + 1] if start <= at + 1 < end else 0.0
            later_ss = behind + short * short * later_ss
            later_sl = behind + short * long * later_sl
            later_ll = behind + long * long * later_ll
            later = places[at]
            if later == n:
                continue
            here = sign * weights[at] if at >= start else 0.0
            if only[later]:
                own[later, 0] += later_ss
                own[later, 1] += later_sl
                own[later, 2] += later_ll
            for lag in range(1, min(longest, at - begin) + 1):
                earlier = places[at - lag]
                if earlier == n or not (only[earlier] or only[later]):
                    continue
                sums = pairs[earlier, later]
                if lag <= short_length:
                    sums[0] += later_ss * powers[0, lag]
                    sums[1] += later_sl * powers[0, lag]
                    sums[4] += here * powers[0, lag - 1]
                sums[2] += later_sl * powers[1, lag]
                sums[3] += later_ll * powers[1, lag]
                sums[5] += here * powers[1, lag - 1]


@compiled
def _carry(
    pairs: NDArray[np.float64],
    old: NDArray[np.intp],
    new: NDArray[np.intp],
    factor: float,
    carried: NDArray[np.float64],
) -> None:
    for row in range(len(old)):
        before, after = pairs[old[row]], carried[new[row]]
        for column in range(len(old)):
            for which in range(pairs.shape[2]):
                after[new[column], which] = factor * before[old[column], which]


@compiled
def _fill(
    pairs: NDArray[np.float64],
    own: NDArray[np.float64],
    gram: NDArray[np.float32],
    cross: NDArray[np.float32],
) -> None:
    n = len(own)
    for top in range(0, n, _TILE):  # by tiles: a cell and its mirror are read together
        for left in range(0, n, _TILE):
            for row in range(top, min(n, top + _TILE)):
                for column in range(left, min(n, left + _TILE)):
                    sums, mirror = pairs[row, column], pairs[column, row]
                    gram[n + column, row] = np.float32(sums[1] + mirror[2])
                    cross[row, column] = np.float32(sums[4])
                    cross[n + row, column] = np.float32(sums[5])
                    if row >= column:
                        gram[row, column] = np.float32(sums[0] + mirror[0])
                        gram[n + row, n + column] = np.float32(sums[3] + mirror[3])
            if top == left:
                for row in range(top, min(n, top + _TILE)):
                    gram[row, row] = np.float32(2.0 * pairs[row, row, 0] + own[row, 0])
                    gram[n + row, row] = np.float32(pairs[row, row, 1] + pairs[row, row, 2] + own[row, 1])
                    gram[n + row, n + row] = np.float32(2.0 * pairs[row, row, 3] + own[row, 2])


@compiled
def settle(pairs: NDArray[np.float64], smallest: float) -> None:
    """Round to what float32 can hold, as it will be kept, and what is below ``smallest`` to 0.

    Smaller than any sum can be is only the rounding that a subtraction has left behind.
    """
    for row in range(pairs.shape[0]):
        for column in range(pairs.shape[1]):
            for which in range(pairs.shape[2]):
                kept = np.float64(np.float32(pairs[row, column, which]))
                pairs[row, column, which] = 0.0 if abs(kept) < smallest else kept
