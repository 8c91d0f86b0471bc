from collections import Counter
from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.log import InteractionLog
from recsys.evaluation.baselines.sasrec.windows import Windows, batches, cut_windows

LogOf = Callable[[list[list[tuple[int, float]]], int], InteractionLog]


def log_of_lengths(lengths: list[int]) -> InteractionLog:
    """Make a log in which no item is met twice by anybody."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    n = int(offsets[-1])
    names = tuple(f"u{user}" for user in range(len(lengths)))
    rows = np.arange(n, dtype=np.int32)
    return InteractionLog(
        offsets, rows, np.arange(n, dtype=np.float64), np.zeros(n, np.int16), names, (), max(1, n)
    )


def test_a_short_history_is_one_window_padded_in_front() -> None:
    windows = cut_windows(log_of_lengths([3]), 4, np.random.default_rng(3))
    parts = [row[row >= 0].tolist() for row in windows.inputs]
    assert [item for part in parts for item in part] == [0, 1]
    for inputs, targets in zip(windows.inputs, windows.targets, strict=True):
        real = inputs >= 0
        assert (targets[real] == inputs[real] + 1).all()
        assert real.tolist() == sorted(real.tolist())  # False before True


@given(st.lists(st.integers(0, 12), min_size=1, max_size=6), st.integers(2, 7), st.integers(0, 2**32 - 1))
def test_every_item_but_the_first_of_a_history_is_a_target_once(
    lengths: list[int], length: int, seed: int
) -> None:
    log = log_of_lengths(lengths)
    windows = cut_windows(log, length, np.random.default_rng(seed))
    real = windows.inputs >= 0
    assert ((windows.targets >= 0) == real).all()
    assert (windows.targets[real] == windows.inputs[real] + 1).all()
    assert real.any(axis=1).all()  # no empty window
    expected = [row for row in range(len(log.item_rows)) if row not in set(log.offsets[:-1].tolist())]
    assert sorted(windows.targets[real].tolist()) == expected


@given(st.integers(0, 9), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_batches_hold_every_window_once_and_are_filled_up(n: int, size: int, seed: int) -> None:
    rows = np.arange(2 * n, dtype=np.int32).reshape(n, 2)
    found = list(batches(Windows(rows, rows + 1), size, np.random.default_rng(seed)))
    assert all(batch.inputs.shape == batch.targets.shape == (size, 2) for batch in found)
    firsts = Counter(int(row[0]) for batch in found for row in batch.inputs if row[0] >= 0)
    assert firsts == Counter(range(0, 2 * n, 2))
