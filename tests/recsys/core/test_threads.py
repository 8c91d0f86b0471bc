import os
import threading

import pytest

from recsys.core.threads import side_by_side, usable_cores


@pytest.mark.parametrize(("told", "cores"), [("1", 1), ("3", 3)])
def test_what_openmp_was_told_counts(told: str, cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert usable_cores() == cores


@pytest.mark.parametrize("told", ["", "0", "-1", "4,2", "many"])
def test_what_says_no_number_leaves_the_machines_cores(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert usable_cores() == os.cpu_count()


def test_as_many_work_at_a_time_as_there_are_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    both = threading.Barrier(2, timeout=60.0)
    with side_by_side(4) as pool:
        assert sorted(pool.map(lambda _: both.wait(), range(2))) == [0, 1]


def test_after_an_error_what_has_not_begun_never_will(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    go = threading.Event()
    begun: list[int] = []

    def work() -> None:
        with side_by_side(4) as pool:
            pool.submit(go.wait, 60.0)
            pool.submit(begun.append, 1)
            threading.Timer(0.2, go.set).start()
            raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        work()
    assert begun == []
