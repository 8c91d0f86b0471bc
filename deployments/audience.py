"""From questions and stored states to the batch of users that the stages understand."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deployments.question import Question
from deployments.showcase import Showcase
from recsys.features.users import UserBatch, user_batch
from recsys.state.store import UserState

Rows = NDArray[np.int32]


def audience(questions: Sequence[Question], states: Sequence[UserState], showcase: Showcase) -> UserBatch:
    """Return the users of a batch as they are now.

    What a session holds comes after what is stored; an item in both counts once, at the later place. Hidden
    from each user: what they have met, what they ask to leave out, what earlier pages held.

    Args:
        questions: who asks.
        states: what is stored of each of them.
        showcase: gives item ids their rows; ids that it does not know are passed over.
    """
    pasts = [_past(question, state, showcase) for question, state in zip(questions, states, strict=True)]
    hidden = [_hidden(question, state, showcase) for question, state in zip(questions, states, strict=True)]
    stops = np.cumsum([len(rows) for rows, _ in pasts])
    return user_batch(
        np.concatenate([rows for rows, _ in pasts]),
        np.concatenate([times_s for _, times_s in pasts]),
        stops - [len(rows) for rows, _ in pasts],
        stops,
        now_s=np.array([question.now_s for question in questions]),
        context_rows=np.array([showcase.catalogue.context_row(q.context) for q in questions], dtype=np.int16),
        excluded_offsets=np.cumsum([0, *(len(rows) for rows in hidden)]),
        excluded_rows=np.concatenate(hidden),
    )


def _past(question: Question, state: UserState, showcase: Showcase) -> tuple[Rows, NDArray[np.float64]]:
    """Return the positive items that the catalogue knows, from old to new, and their times."""
    rows = showcase.catalogue.items.rows(state.item_ids)
    times_s = state.times_s
    chosen = [item for item in question.session if item.positive]
    if chosen:
        session_rows = showcase.catalogue.items.rows([item.item_id for item in chosen])
        session_times_s = [question.now_s if item.time_s is None else item.time_s for item in chosen]
        earlier = ~np.isin(rows, session_rows)
        rows = np.concatenate([rows[earlier], session_rows])
        times_s = np.concatenate([times_s[earlier], session_times_s])
    known = rows >= 0
    return rows[known], times_s[known]


def _hidden(question: Question, state: UserState, showcase: Showcase) -> Rows:
    """Return the different item rows that this user must not get, rising."""
    item_ids = [*state.seen, *(item.item_id for item in question.session), *question.exclude_ids]
    rows = showcase.catalogue.items.rows(item_ids)
    if len(question.shown):
        rows = np.concatenate([rows, showcase.rows_of_hashes(question.shown)])
    return np.unique(rows[rows >= 0])
