"""Ask a model about every impression: each session once, with what its user had done before it."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import FieldError, ShapeError
from recsys.data.log import InteractionLog
from recsys.data.shown import ShownLog
from recsys.evaluation.model import ScoringModel
from recsys.features.users import UserBatch, batch_at

BATCH_SESSIONS = 512


def score_shown(
    model: ScoringModel,
    name: str,
    log: InteractionLog,
    shown: ShownLog,
    *,
    on_share: Callable[[float], None] = lambda _: None,
) -> NDArray[np.float64]:
    """Return the score of every impression, shape (impressions,).

    Args:
        model: what is asked.
        name: for error messages.
        log: what users did; of each session only what came before it is used.
        shown: the sessions.
        on_share: told which share of the sessions is done.

    Raises:
        ShapeError: the scores are not of the items' shape.
        FieldError: a score is not finite.
    """
    scores = np.full(len(shown.item_rows), np.nan)
    done = 0
    for sessions, impressions in batches(shown):
        found = model.scores(users_before(log, shown, sessions), shown.item_rows[impressions])
        if found.shape != impressions.shape:
            raise ShapeError(f"scores of {name}", impressions.shape, found.shape)
        scores[impressions] = found
        done += len(sessions)
        on_share(done / shown.n_sessions)
    if not np.isfinite(scores).all():
        raise FieldError(f"scores of {name}", "one that is not finite", "a number for every shown item")
    return scores


def batches(
    shown: ShownLog, size: int = BATCH_SESSIONS
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.int64]]]:
    """Yield sessions of equal length together, so that nothing is padded.

    Yields:
        numbers of sessions, shape (sessions,), and of their impressions, shape (sessions, length).
    """
    lengths = np.diff(shown.offsets)
    for length in np.unique(lengths):
        alike = np.flatnonzero(lengths == length)
        for start in range(0, len(alike), size):
            sessions = alike[start : start + size]
            yield sessions, shown.offsets[sessions][:, None] + np.arange(length)


def users_before(log: InteractionLog, shown: ShownLog, sessions: NDArray[np.intp]) -> UserBatch:
    """Return the users of sessions as they were just before."""
    return batch_at(log, shown.log_users[sessions], shown.stops[sessions], shown.starts_s[sessions])
