"""Which past a model may learn from, and which impressions it is asked about."""

from dataclasses import dataclass

import numpy as np

from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.errors import FieldError
from recsys.data.log import InteractionLog
from recsys.data.shown import ShownLog, with_stops_in
from recsys.data.splits import Split


@dataclass(frozen=True, slots=True)
class ImpressionSplit:
    """Past and future at one moment for everybody; a session that lies across it is in neither."""

    full: InteractionLog  # a question sees of it what its user did before the session began
    train: InteractionLog  # the same users, only what happened before the cut
    past: ShownLog  # sessions that ended before the cut, with stops in ``train``
    test: ShownLog  # sessions that began at the cut or later, with stops in ``full``
    cut_s: float
    n_days: float  # from the cut to the end of the test
    n_across: int  # sessions that lie across the cut


def split_impressions(
    log: InteractionLog, shown: ShownLog, *, test_days: float, end_s: float | None = None
) -> ImpressionSplit:
    """Hold out the last days of impressions.

    A validation split is the same with ``end_s`` at the cut of the test: it never sees what comes later.

    Args:
        log: what users chose.
        shown: what they were shown.
        test_days: so many times 24 hours before the end are asked about.
        end_s: Unix time; what begins at it or later is not looked at. After the last impression when None.

    Raises:
        FieldError: ``test_days`` is not above 0, or no session begins in the test or ends before it.
    """
    if not test_days > 0.0:
        raise FieldError("test_days", str(test_days), "above 0")
    last_s = float(shown.starts_s.max()) if end_s is None else end_s
    cut_s = last_s - test_days * SECONDS_PER_DAY
    over = shown.ends_s < cut_s
    begun = (shown.starts_s >= cut_s) & (shown.starts_s < (np.inf if end_s is None else end_s))
    if not begun.any() or not over.any():
        which = "no session in the test" if over.any() else "no session before the test"
        raise FieldError("test_days", str(test_days), f"days that leave sessions on both sides: {which}")
    train = log.select(log.times_s < cut_s)
    return ImpressionSplit(
        log,
        train,
        with_stops_in(shown.of_sessions(over), log, train),
        shown.of_sessions(begun),
        cut_s,
        test_days,
        int((~over & (shown.starts_s < cut_s)).sum()),
    )


def known_by(shown: ShownLog, split: Split) -> ShownLog:
    """Keep the sessions that tell nothing of the answers that a split holds out.

    Those that ended before the first answer of their user, and before the last position that models learn
    from: under global time that is the cut.

    Args:
        shown: with stops in ``split.full``.
        split: of the log that ``shown`` was encoded with.

    Returns:
        Sessions with stops in ``split.train``.
    """
    full, train = split.full, split.train
    first = full.offsets[:-1] + train.lengths  # of each user's positions that are held out
    held = train.lengths < full.lengths
    until_s = np.full(full.n_users + 1, np.inf)  # the last place is for users that the log does not know
    until_s[:-1][held] = full.times_s[first[held]]
    over = shown.ends_s < np.minimum(until_s[shown.log_users], train.times_s.max(initial=-np.inf))
    return with_stops_in(shown.of_sessions(over), full, train)


def sample_users(shown: ShownLog, n: int, *, seed: int) -> ShownLog:
    """Keep all sessions of ``n`` users at random, of everybody when there are no more."""
    users = np.unique(shown.users)
    if n >= len(users):
        return shown
    kept = np.random.default_rng(seed).choice(users, n, replace=False)
    return shown.of_sessions(np.isin(shown.users, kept))
