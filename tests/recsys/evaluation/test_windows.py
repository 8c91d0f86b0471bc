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


@given(st.lists(st.integers(1, 40), max_size=12), st.integers(0, 3), st.integers(1, 200), st.integers(0, 99))
def test_batches_hold_every_window_once_cut_in_front_and_are_filled_up(
    lengths: list[int], padding: int, n_places: int, seed: int
) -> None:
    width = max(lengths, default=1) + padding
    rows = np.full((len(lengths), width), -1, dtype=np.int32)
    for number, length in enumerate(lengths):
        rows[number, width - length :] = 100 * number + np.arange(length)
    found = list(
        batches(Windows(rows, np.where(rows < 0, -1, rows + 1)), n_places, np.random.default_rng(seed))
    )
    for batch in found:
        n, wide = batch.inputs.shape
        assert batch.targets.shape == (n, wide)
        assert n == max(1, n_places // wide)
        assert (batch.targets[batch.inputs >= 0] == batch.inputs[batch.inputs >= 0] + 1).all()
    ended = Counter(int(row[-1]) for batch in found for row in batch.inputs if row[-1] >= 0)
    assert ended == Counter(100 * number + length - 1 for number, length in enumerate(lengths))
    assert sum(int((batch.inputs >= 0).sum()) for batch in found) == sum(lengths)


def test_short_histories_come_in_narrow_batches() -> None:
    rows = np.full((2, 64), -1, dtype=np.int32)
    rows[0, -20:] = 1
    rows[1, -5:] = 2
    found = batches(Windows(rows, rows), 64, np.random.default_rng(0))
    assert sorted(batch.inputs.shape for batch in found) == [(2, 32), (4, 16)]
