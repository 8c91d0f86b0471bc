"""From questions and stored states to the batch of users that the stages understand."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deployments.question import Question
from deployments.showcase import Rows, Showcase
from recsys.features.users import UserBatch
from recsys.pipeline.states import Session, batch_of_states
from recsys.state.store import UserState


def audience(questions: Sequence[Question], states: Sequence[UserState], showcase: Showcase) -> UserBatch:
    """Return the users of a batch as they are now.

    Hidden from each of them: what they have met, what they ask to leave out, what earlier pages held.

    Args:
        questions: who asks.
        states: what is stored of each of them.
        showcase: gives item ids their rows; ids that it does not know are passed over.
    """
    catalogue = showcase.catalogue
    return batch_of_states(
        states,
        catalogue.items,
        now_s=np.array([question.now_s for question in questions], dtype=np.float64),
        context_rows=np.array([catalogue.context_row(q.context) for q in questions], dtype=np.int16),
        extra_excluded=[_left_out(question, showcase) for question in questions],
        sessions=[_session(question) for question in questions],
        n_learned=catalogue.n_learned,
    )


def _session(question: Question) -> Session:
    """Return what the user chose just now; items without a time count as of now."""
    chosen = [item for item in question.session if item.positive]
    times_s = [question.now_s if item.time_s is None else item.time_s for item in chosen]
    return Session([item.item_id for item in chosen], times_s)


def _left_out(question: Question, showcase: Showcase) -> NDArray[np.int32]:
    """Return the item rows that this question wants to be left out."""
    passed_over = [item.item_id for item in question.session if not item.positive]
    rows: Rows = showcase.catalogue.items.rows([*passed_over, *question.exclude_ids])
    if len(question.shown):
        rows = np.concatenate([rows, showcase.rows_of_hashes(question.shown)])
    return rows[rows >= 0]
