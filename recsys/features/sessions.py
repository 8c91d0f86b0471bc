"""Sessions: what a user chose without a break, and what sessions of that user are like.

A session ends when nothing was chosen for more than :data:`GAP_S`. What is counted is what
:class:`recsys.features.lives.Moments` shows of a life, so the oldest session may be cut off.

Source of the break: L. D. Catledge and J. E. Pitkow, "Characterizing browsing strategies in the World-Wide
Web", 1995 (25.5 minutes), rounded to what web analytics took over.
"""

import numpy as np
from numpy.typing import NDArray

from recsys.core.compiled import compiled
from recsys.features.lives import Lives, Moments

GAP_S = 30 * 60.0
"""A longer time without a choice ends a session."""

SESSION_FEATURES = (
    "session_position",  # choices so far in the session under way; 0: it would begin now
    "session_age_s",  # since its first choice; 0 when it would begin now
    "session_watch_s",  # watched in it so far
    "n_sessions",  # that are over
    "choices_per_session",  # mean of those that are over; nan without any
    "watch_s_per_session",  # the same
)
"""Names of the columns of :func:`session_features`, in order."""


def session_features(lives: Lives, moments: Moments) -> NDArray[np.float32]:
    """Return shape (questions, features), columns as in :data:`SESSION_FEATURES`."""
    found = np.empty((len(moments), len(SESSION_FEATURES)), dtype=np.float32)
    _sessions(lives.times_s, lives.watched_ms, moments.starts, moments.stops, moments.now_s, GAP_S, found)
    return found


@compiled
def _sessions(
    times_s: NDArray[np.float64],
    watched_ms: NDArray[np.int64],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    now_s: NDArray[np.float64],
    gap_s: float,
    found: NDArray[np.float32],
) -> None:
    for question in range(len(now_s)):
        began, n_over, n_before, ms_before = starts[question], 0, 0, 0
        ms = 0
        for position in range(starts[question], stops[question]):
            if position > began and times_s[position] - times_s[position - 1] > gap_s:
                n_over, n_before, ms_before = n_over + 1, n_before + position - began, ms_before + ms
                began, ms = position, 0
            ms += watched_ms[position]
        stop = stops[question]
        if stop > began and now_s[question] - times_s[stop - 1] > gap_s:
            n_over, n_before, ms_before = n_over + 1, n_before + stop - began, ms_before + ms
            began, ms = stop, 0
        found[question, 0] = stop - began
        found[question, 1] = now_s[question] - times_s[began] if stop > began else 0.0
        found[question, 2] = ms / 1_000.0
        found[question, 3] = n_over
        found[question, 4] = n_before / n_over if n_over else np.nan
        found[question, 5] = ms_before / 1_000.0 / n_over if n_over else np.nan
