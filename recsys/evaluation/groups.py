"""Parts of the test users: without history, by its length, and without ties in time."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recsys.data.splits import Split
from recsys.evaluation.results import ALL_USERS, COLD_USERS, UNTIED_USERS

BUCKETS: tuple[tuple[str, int, int], ...] = (
    ("1-5", 1, 5),
    ("6-20", 6, 20),
    ("21-100", 21, 100),
    (">100", 101, np.iinfo(np.int64).max),
)
"""Name, shortest and longest history of each bucket."""


def groups_of(split: Split) -> dict[str, NDArray[np.bool_]]:
    """Return who is in ``all``, ``cold``, ``untied`` and each bucket, shape (tests,) each.

    Groups of nobody are left out, and ``untied`` when it is everybody.
    """
    lengths = split.test_stops - split.full.offsets[split.test_users]
    groups = {ALL_USERS: np.ones(len(split), dtype=np.bool_), COLD_USERS: split.cold}
    if (untied := ~tied_of(split)).sum() < len(split):
        groups[UNTIED_USERS] = untied
    groups |= {name: (lengths >= low) & (lengths <= high) for name, low, high in BUCKETS}
    return {name: members for name, members in groups.items() if members.any()}


def tied_of(split: Split) -> NDArray[np.bool_]:
    """Mark the users who are asked at the very time of their last item, shape (tests,)."""
    last = np.maximum(split.test_stops - 1, 0)
    tied: NDArray[np.bool_] = ~split.cold & (split.full.times_s[last] >= split.now_s)
    return tied


def sample_tests(split: Split, n: int, *, seed: int) -> Split:
    """Keep ``n`` test users at random, all when there are no more.

    The logs, and the counts of what was left out, stay those of everybody.
    """
    if n >= len(split):
        return split
    kept = np.sort(np.random.default_rng(seed).choice(len(split), n, replace=False))
    counts = np.diff(split.target_offsets)
    marked = np.zeros(len(split), dtype=np.bool_)
    marked[kept] = True
    return replace(
        split,
        test_users=split.test_users[kept],
        test_stops=split.test_stops[kept],
        target_offsets=np.concatenate([[0], np.cumsum(counts[kept])]).astype(np.int64),
        target_rows=split.target_rows[np.repeat(marked, counts)],
        now_s=split.now_s[kept],
        cold=split.cold[kept],
    )
