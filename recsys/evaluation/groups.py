"""Parts of the test users: those without history, and buckets by its length."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recsys.data.splits import Split
from recsys.evaluation.results import ALL_USERS, COLD_USERS

BUCKETS: tuple[tuple[str, int, int], ...] = (
    ("1-5", 1, 5),
    ("6-20", 6, 20),
    ("21-100", 21, 100),
    (">100", 101, np.iinfo(np.int64).max),
)
"""Name, shortest and longest history of each bucket."""


def groups_of(split: Split) -> dict[str, NDArray[np.bool_]]:
    """Return who is in ``all``, ``cold`` and each bucket, shape (tests,) each, without groups of nobody."""
    lengths = split.test_stops - split.full.offsets[split.test_users]
    groups = {ALL_USERS: np.ones(len(split), dtype=np.bool_), COLD_USERS: split.cold}
    groups |= {name: (lengths >= low) & (lengths <= high) for name, low, high in BUCKETS}
    return {name: members for name, members in groups.items() if members.any()}


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
