from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.core.errors import ConflictError, DataFormatError
from recsys.training.two_stage import TrainingConfig
from tuning.journal import FILE, Ended, Settled, Started, open_journal, read_events
from tuning.objectives import Step

RowOf = Callable[..., Ended]


def started(number: int, depth: int = 2) -> Started:
    return Started(step=Step.RANKER, number=number, parameters={"boosting.max_depth": depth, "a": 0.1 + 0.2})


def test_what_was_written_is_read_back(tmp_path: Path, row_of: RowOf) -> None:
    settled = Settled(step=Step.RECALL, number=3, settings=TrainingConfig(), elapsed_s=9.0)
    with open_journal(tmp_path / "new") as journal:
        for event in (started(0), row_of(0, 0.5), settled, started(1)):
            journal.append(event)
    with open_journal(tmp_path / "new") as journal:
        assert journal.rows() == journal.rows(Step.RANKER) == [row_of(0, 0.5)]
        assert journal.running(Step.RANKER) == {1: {"boosting.max_depth": 2, "a": 0.1 + 0.2}}
        assert journal.settled(Step.RECALL) == settled
        assert journal.settled(Step.RANKER) is None
        assert journal.elapsed_s == 9.0


@given(st.integers(1, 200))
def test_a_line_that_was_cut_is_dropped_and_the_journal_goes_on(
    tmp_path_factory: pytest.TempPathFactory, n_lost: int
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    with open_journal(folder) as journal:
        journal.append(started(0))
        journal.append(started(1))
    path = folder / FILE
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    path.write_bytes(whole[: max(first, len(whole) - n_lost)])
    with open_journal(folder) as journal:
        assert list(journal.running(Step.RANKER)) == [0]
        journal.append(started(2))
    assert len(read_events(path)) == 2


def test_a_line_that_is_no_event_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(started(0).model_dump_json().encode() + b"\nnonsense\n")
    with pytest.raises(DataFormatError, match="an event in line 2"), open_journal(tmp_path):
        pass


def test_two_sweeps_cannot_share_a_folder(tmp_path: Path) -> None:
    with (
        open_journal(tmp_path),
        pytest.raises(ConflictError, match="another process at work"),
        open_journal(tmp_path),
    ):
        pass
    with open_journal(tmp_path):
        pass
