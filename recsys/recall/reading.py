"""Loops that read everybody's lives for passages like the end of one user's: see ``passages``."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.compiled import compiled
from recsys.recall.selection import offer, sort_best_first

Weights = NDArray[np.float32]
Rows = NDArray[np.int32]


class Reading(NamedTuple):
    """What things count, by how far away they are."""

    anchors: Weights  # shape (anchors,): a passage found by the user's latest item, the one before, ...
    compared: Weights  # shape (compared history,): a shared item, by how much older it is than the anchor
    behind: Weights  # shape (before,): the same, by its distance before the place
    after: Weights  # shape (2, after): what followed, by its distance, in the near and in the far sum
    before: Weights  # shape (before,): what came before
    unlike: float
    smoothing: float


_NEAR: Final = 0
_FAR: Final = 1
_BEFORE: Final = 2
_PARTS: Final = 3


@compiled
def search_passages(
    lives: Rows,
    places: Rows,
    place_offsets: NDArray[np.int64],
    history_rows: Rows,
    reading: Reading,
    blocked: NDArray[np.bool_],
    best_rows: Rows,
    best_scores: Weights,
) -> None:
    """Fill the lists of each user with the items of the largest far sums, none of them blocked."""
    n_items = len(place_offsets) - 1
    sums = np.zeros((n_items, _PARTS), dtype=np.float32)
    ages, reached = np.full(n_items, -1, dtype=np.int32), np.empty(n_items, dtype=np.int32)
    for user in range(len(history_rows)):
        history = history_rows[user]
        n_reached, weight = _read(lives, places, place_offsets, history, reading, True, ages, sums, reached)
        n_kept, kept_scores, kept_rows = 0, best_scores[user], best_rows[user]
        for row in reached[:n_reached]:
            score = float(np.float32(sums[row, _FAR] / weight))
            sums[row] = 0
            if n_kept == len(kept_scores) and (n_kept == 0 or score < kept_scores[0]):
                continue  # most items are worse than the worst of those kept: no call for them
            if score > 0 and not blocked[user, row]:
                n_kept = offer(kept_scores, kept_rows, n_kept, score, row)
        sort_best_first(kept_scores, kept_rows, n_kept)


@compiled
def score_passages(
    lives: Rows,
    places: Rows,
    place_offsets: NDArray[np.int64],
    history_rows: Rows,
    reading: Reading,
    item_rows: Rows,
    found: NDArray[np.float32],
) -> None:
    """Fill ``found``, of shape (parts, users, items) and 0 before, with the sums of given items."""
    n_items = len(place_offsets) - 1
    sums = np.zeros((n_items, _PARTS), dtype=np.float32)
    ages, reached = np.full(n_items, -1, dtype=np.int32), np.empty(n_items, dtype=np.int32)
    for user in range(len(history_rows)):
        history = history_rows[user]
        n_reached, weight = _read(lives, places, place_offsets, history, reading, False, ages, sums, reached)
        for column in range(item_rows.shape[1] if n_reached else 0):
            if item_rows[user, column] >= 0:
                for part in range(_PARTS):
                    found[part, user, column] = sums[item_rows[user, column], part] / weight
        for row in reached[:n_reached]:
            sums[row] = 0


@compiled
def _read(
    lives: Rows,
    places: Rows,
    place_offsets: NDArray[np.int64],
    history: Rows,
    reading: Reading,
    is_search: bool,  # the far sum alone, at half the cost
    ages: Rows,
    sums: Weights,
    reached: Rows,
) -> tuple[int, float]:
    """Add up every passage for one user; return how many items are reached, and the weight of all passages.

    ``ages`` and ``sums`` hold -1 and 0 before; the caller clears the sums of what was reached.
    """
    _remember(history, len(reading.compared), ages)
    n_reached, total = 0, reading.smoothing
    for age in range(min(len(reading.anchors), len(history))):
        if history[age] < 0:
            break
        for place in places[place_offsets[history[age]] : place_offsets[history[age] + 1]]:
            if age > 0 and _goes_on(lives, place, age, ages, reading.after.shape[1]):
                continue
            weight = reading.anchors[age] * _likeness(lives, place, age, ages, reading)
            total += weight
            far = reading.after[_FAR]
            n_reached = _add(lives, place, 1, weight, far, _FAR, sums, reached, n_reached)
            if not is_search:
                near = reading.after[_NEAR]
                n_reached = _add(lives, place, 1, weight, near, _NEAR, sums, reached, n_reached)
                n_reached = _add(lives, place, -1, weight, reading.before, _BEFORE, sums, reached, n_reached)
    _forget(history, len(reading.compared), ages)
    return n_reached, total


@compiled
def _remember(history: Rows, length: int, ages: Rows) -> None:
    for age in range(min(length, len(history)) - 1, -1, -1):  # an item met twice has its latest age
        if history[age] >= 0:
            ages[history[age]] = age


@compiled
def _forget(history: Rows, length: int, ages: Rows) -> None:
    for age in range(min(length, len(history))):
        if history[age] >= 0:
            ages[history[age]] = -1


@compiled
def _goes_on(lives: Rows, place: int, age: int, ages: Rows, n_after: int) -> bool:
    """Whether a later item of the user follows: then that item finds the passage."""
    for distance in range(1, n_after + 1):
        row = lives[place + distance]
        if row < 0:
            return False
        if 0 <= ages[row] < age:
            return True
    return False


@compiled
def _likeness(lives: Rows, place: int, age: int, ages: Rows, reading: Reading) -> float:
    likeness = reading.unlike
    for distance in range(1, len(reading.behind) + 1):
        row = lives[place - distance]
        if row < 0:
            break
        if ages[row] > age:
            likeness += reading.compared[ages[row] - age] * reading.behind[distance - 1]
    return likeness


@compiled
def _add(
    lives: Rows,
    place: int,
    step: int,
    weight: float,
    counts: Weights,
    part: int,
    sums: Weights,
    reached: Rows,
    n_reached: int,
) -> int:
    """Add the items on one side of a place, one further away after the other, to a part of their sums."""
    for distance in range(len(counts)):
        row = lives[place + step * (distance + 1)]
        if row < 0:
            break
        share = np.float32(weight * counts[distance])
        if share == 0:  # it would be reached twice
            continue
        if sums[row, _NEAR] == 0 and sums[row, _FAR] == 0 and sums[row, _BEFORE] == 0:
            reached[n_reached] = row
            n_reached += 1
        sums[row, part] += share
    return n_reached
