import multiprocessing
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from recsys.core.errors import ConflictError, DataFormatError, FieldError, NotFoundError
from recsys.rollout.traffic import TrafficDocument, first_document
from recsys.rollout.traffic_file import FileTrafficStore
from recsys.rollout.traffic_store import TrafficStore

A, B = "a" * 16, "b" * 16
FIRST = first_document(A, salt="s", updated_s=0.0)
N_PROCESSES = 4
N_WINS_EACH = 10


def successor(document: TrafficDocument) -> TrafficDocument:
    return document.successor(updated_s=document.updated_s + 1, updated_by="ada")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "traffic.json"


@pytest.fixture
def store(path: Path) -> TrafficStore:
    return FileTrafficStore(path, n_history=3)


def test_what_was_swapped_in_is_read_back(store: TrafficStore, path: Path) -> None:
    store.swap(FIRST, expected_version=0)
    store.swap(successor(FIRST), expected_version=1)
    assert FileTrafficStore(path).read() == successor(FIRST)


def test_a_store_without_a_document_says_so(store: TrafficStore) -> None:
    with pytest.raises(NotFoundError, match=r"no traffic document named '.*traffic\.json'"):
        store.read()
    with pytest.raises(NotFoundError):
        store.changed_since(0)
    assert store.history() == []


def test_a_swap_that_expected_another_version_says_both_and_changes_nothing(store: TrafficStore) -> None:
    with pytest.raises(ConflictError, match="expected version 1, found version 0"):
        store.swap(successor(FIRST), expected_version=1)
    store.swap(FIRST, expected_version=0)
    with pytest.raises(ConflictError, match="expected version 0, found version 1"):
        store.swap(FIRST, expected_version=0)
    assert store.read() == FIRST


def test_a_version_is_never_left_out(store: TrafficStore) -> None:
    with pytest.raises(FieldError, match=r"traffic\.version: got 2; expected 1"):
        store.swap(successor(FIRST), expected_version=0)


def test_a_change_is_told_once(store: TrafficStore, path: Path) -> None:
    store.swap(FIRST, expected_version=0)
    follower = FileTrafficStore(path)
    assert follower.changed_since(0) == FIRST
    assert follower.changed_since(1) is None
    store.swap(successor(FIRST), expected_version=1)
    assert follower.changed_since(1) == successor(FIRST)
    assert follower.changed_since(2) is None
    assert follower.changed_since(1) == successor(FIRST)


def test_a_follower_hears_of_an_older_document_each_time_it_asks(store: TrafficStore, path: Path) -> None:
    store.swap(FIRST, expected_version=0)
    store.swap(successor(FIRST), expected_version=1)
    assert store.changed_since(0) == successor(FIRST)
    path.write_text(FIRST.model_dump_json())
    for _ in range(2):
        with pytest.raises(DataFormatError, match="looked for version 2 or later; found version 1"):
            store.changed_since(2)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 2}', FIRST.model_dump_json()[:-1]])
def test_a_broken_document_is_refused_and_never_swapped_away(
    store: TrafficStore, path: Path, content: str
) -> None:
    store.swap(FIRST, expected_version=0)
    path.write_text(content)
    with pytest.raises(DataFormatError, match=r"traffic\.json: looked for a traffic document"):
        store.read()
    with pytest.raises(DataFormatError):
        store.changed_since(1)
    with pytest.raises(DataFormatError):
        store.swap(successor(FIRST), expected_version=1)
    assert path.read_text() == content


def test_the_history_holds_the_latest_documents_in_order(store: TrafficStore) -> None:
    document = FIRST
    store.swap(document, expected_version=0)
    for version in range(1, 6):
        document = successor(document)
        store.swap(document, expected_version=version)
    assert [past.version for past in store.history()] == [3, 4, 5, 6]  # three predecessors are kept
    assert store.history()[-1] == document


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
