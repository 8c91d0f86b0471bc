"""What all stores of the traffic document must do stands in tests/conformance/test_traffic_stores.py."""

import multiprocessing
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from recsys.core.errors import ConflictError, DataFormatError
from recsys.rollout.traffic import TrafficDocument, first_document
from recsys.rollout.traffic_file import FileTrafficStore

FIRST = first_document("a" * 16, salt="s", updated_s=0.0)
N_PROCESSES = 4
N_WINS_EACH = 10


def successor(document: TrafficDocument) -> TrafficDocument:
    return document.successor(updated_s=document.updated_s + 1, updated_by="ada")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "traffic.json"


def test_an_error_names_the_file(path: Path) -> None:
    store = FileTrafficStore(path)
    store.swap(FIRST, expected_version=0)
    path.write_text("{")
    with pytest.raises(DataFormatError, match=rf"^{path}: looked for a traffic document"):
        store.read()


def win_swaps(path: Path) -> None:
    """Swap in the next version until it has worked often enough."""
    store, n_won = FileTrafficStore(path), 0
    while n_won < N_WINS_EACH:
        now = store.read()
        with suppress(ConflictError):
            store.swap(successor(now), expected_version=now.version)
            n_won += 1


def test_of_many_processes_exactly_one_makes_each_version_and_no_reader_sees_a_half(path: Path) -> None:
    store = FileTrafficStore(path)
    store.swap(FIRST, expected_version=0)
    seen, done = [0], threading.Event()

    def follow() -> None:
        while not done.is_set():
            if (document := store.changed_since(seen[-1])) is not None:
                seen.append(document.version)

    follower = threading.Thread(target=follow)  # an error in it fails the test: warnings are errors
    follower.start()
    with multiprocessing.get_context("spawn").Pool(N_PROCESSES) as pool:
        pool.map(win_swaps, [path] * N_PROCESSES)
    done.set()
    follower.join()
    assert store.read().version == 1 + N_PROCESSES * N_WINS_EACH
    assert [document.version for document in store.history()] == list(range(1, 42))
    assert seen == sorted(set(seen))
    assert len(seen) > 1
