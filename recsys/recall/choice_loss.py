"""The loops of learning from choices: histories to users, scores to gradients, gradients to histories."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from recsys.core.compiled import compiled
from recsys.features.users import NO_ITEM

_NEVER: Final = np.float32(-1e30)

Rows = NDArray[np.int32]
Floats = NDArray[np.float32]


def histories_at(item_rows: Rows, starts: NDArray[np.int64], stops: NDArray[np.intp], length: int) -> Rows:
    """Return what came before each position, the latest first, shape (positions, length), NO_ITEM behind.

    Args:
        item_rows: of everybody, each user's items in a row from old to new.
        starts: shape (positions,), where the life of each position's user begins.
        stops: shape (positions,), one behind the last place that may be read.
        length: places to read at most.
    """
    places = stops[:, None] - np.arange(1, length + 1)
    known = places >= starts[:, None]
    return np.where(known, item_rows[np.where(known, places, 0)], np.int32(NO_ITEM))


@compiled
def add_histories(histories: Rows, decays: Floats, left: Floats, users: Floats) -> None:
    """Add to each user the vectors of the history, each times the weight of its place.

    Args:
        histories: shape (users, length), the latest first; NO_ITEM says nothing, wherever it stands.
        decays: shape (sums, length).
        left: shape (sums, items, dimensions).
        users: shape (users, dimensions); the result.
    """
    for user in range(len(histories)):
        for age in range(histories.shape[1]):
            row = histories[user, age]
            if row < 0:
                continue
            for which in range(len(decays)):
                weight = decays[which, age]
                if weight > 0:
                    for dimension in range(users.shape[1]):
                        users[user, dimension] += weight * left[which, row, dimension]


@compiled
def spread_to_histories(histories: Rows, decays: Floats, of_users: Floats, of_left: Floats) -> None:
    """Add what a gradient of user vectors means for the items: the reverse of :func:`add_histories`."""
    for user in range(len(histories)):
        for age in range(histories.shape[1]):
            row = histories[user, age]
            if row < 0:
                continue
            for which in range(len(decays)):
                weight = decays[which, age]
                if weight > 0:
                    for dimension in range(of_users.shape[1]):
                        of_left[which, row, dimension] += weight * of_users[user, dimension]


def choice_gradient(scores: Floats, histories: Rows, answers: Rows, column_of: Rows) -> float:
    """Turn scores into the gradient of the mean loss, in place, and return that loss.

    The loss of a question is ``-log(exp(score of the answer) / sum of exp(scores))``, the sum over the answer
    and every column that is not in the history.

    Args:
        scores: shape (questions, columns).
        histories: shape (questions, length): items that cannot come again.
        answers: shape (questions,), columns.
        column_of: shape (items,), the column of each item, negative for those that have none.
    """
    _mask(scores, histories, answers, column_of)
    largest = scores.max(axis=1, keepdims=True)
    scores -= largest
    questions = np.arange(len(scores))
    of_answers = scores[questions, answers]
    np.exp(scores, out=scores)  # three times as fast as one by one
    totals = scores.sum(axis=1, keepdims=True)
    share = np.float32(1.0 / max(1, len(scores)))
    scores *= share / totals
    scores[questions, answers] -= share
    return float(np.mean(np.log(totals[:, 0]) - of_answers))


@compiled
def _mask(scores: Floats, histories: Rows, answers: Rows, column_of: Rows) -> None:
    for question in range(len(scores)):
        of_answer = scores[question, answers[question]]
        for row in histories[question]:
            if row >= 0 and column_of[row] >= 0:
                scores[question, column_of[row]] = _NEVER
        scores[question, answers[question]] = of_answer
