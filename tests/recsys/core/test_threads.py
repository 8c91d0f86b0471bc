import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import CancelledError, Future

import pytest

from recsys.core.threads import end_if_left, side_by_side, usable_cores, wait_for


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


def test_what_runs_ends_where_it_asks_once_its_pool_is_left() -> None:
    begun, under_way = threading.Event(), []

    def for_ever() -> None:
        begun.set()
        while True:
            end_if_left()

    def work() -> None:
        with side_by_side(1) as pool:
            under_way.append(pool.submit(for_ever))
            assert begun.wait(60.0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert isinstance(under_way[0].exception(), CancelledError)
    end_if_left()  # this thread never belonged to it: nothing is raised


def test_the_first_to_fail_ends_the_wait() -> None:
    never, failed = Future[int](), Future[int]()
    failed.set_exception(ValueError("first"))
    with pytest.raises(ValueError, match="first"):
        wait_for([never, failed])


_WAITS_FOR_EVER = """
import polars  # its handler of SIGINT lets waits go on
from recsys.core.threads import end_if_left, side_by_side, wait_for

def for_ever():
    print("begun", flush=True)
    while True:
        end_if_left()

with side_by_side(1) as pool:
    wait_for([pool.submit(for_ever)])
"""


def test_ctrl_c_ends_what_runs_side_by_side() -> None:
    command = [sys.executable, "-c", _WAITS_FOR_EVER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60.0)
    assert "KeyboardInterrupt" in error
