"""What every store of the traffic document must do; the ConfigMap lives on a real API server."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from kubernetes.client import CoreV1Api, V1ConfigMap

from deployments.kubernetes.address import ConfigMapAddress
from deployments.kubernetes.config_map_store import KEY, ConfigMapTrafficStore
from recsys.core.errors import ConflictError, DataFormatError, FieldError, NotFoundError
from recsys.rollout.traffic import TrafficDocument, first_document
from recsys.rollout.traffic_file import FileTrafficStore
from recsys.rollout.traffic_store import TrafficStore

FIRST = first_document("a" * 16, salt="s", updated_s=0.0)
N_WRITERS = 3
N_WINS_EACH = 5


def successor(document: TrafficDocument) -> TrafficDocument:
    return document.successor(updated_s=document.updated_s + 1, updated_by="ada")


@dataclass(frozen=True)
class Place:
    """Somewhere a store can be opened, more than once, and behind its back."""

    open: Callable[[], TrafficStore]
    put: Callable[[str], object]  # whatever text in place of a document that is there
    text: Callable[[], str]
    delete: Callable[[], None]


@pytest.fixture(params=["file", pytest.param("config map", marks=pytest.mark.cluster)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "file":
        path = tmp_path / "state" / "traffic.json"
        yield Place(lambda: FileTrafficStore(path, n_history=3), path.write_text, path.read_text, path.unlink)
        return
    api: CoreV1Api = request.getfixturevalue("cluster")
    address = ConfigMapAddress(request.getfixturevalue("namespace"), "traffic")
    with ExitStack() as opened:
        yield Place(
            lambda: opened.enter_context(ConfigMapTrafficStore(api, address, n_history=3)),
            lambda text: _put(api, address, text),
            lambda: _text(api, address),
            lambda: _delete(api, address),
        )


def _put(api: CoreV1Api, address: ConfigMapAddress, text: str) -> None:
    api.patch_namespaced_config_map(address.name, address.namespace, {"data": {KEY: text}})


def _text(api: CoreV1Api, address: ConfigMapAddress) -> str:
    found: V1ConfigMap = api.read_namespaced_config_map(address.name, address.namespace)
    return (found.data or {})[KEY]


def _delete(api: CoreV1Api, address: ConfigMapAddress) -> None:
    api.delete_namespaced_config_map(address.name, address.namespace)


@pytest.fixture
def store(place: Place) -> TrafficStore:
    return place.open()


def eventually(holds: Callable[[], bool]) -> None:
    """Ask until it holds: what somebody else did may take a moment to be heard of."""
    for _ in range(200):
        if holds():
            return
        time.sleep(0.05)
    pytest.fail("not within 10 s")


def refuses(store: TrafficStore, version: int, error: type[Exception]) -> bool:
    with suppress(error):
        store.changed_since(version)
        return False
    return True


def test_what_was_swapped_in_is_read_back(store: TrafficStore, place: Place) -> None:
    store.swap(FIRST, expected_version=0)
    store.swap(successor(FIRST), expected_version=1)
    assert place.open().read() == successor(FIRST)


def test_a_store_without_a_document_says_so(store: TrafficStore) -> None:
    with pytest.raises(NotFoundError, match=r"no traffic document named '.*traffic"):
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


def test_a_change_is_told_once(store: TrafficStore, place: Place) -> None:
    store.swap(FIRST, expected_version=0)
    follower = place.open()
    assert follower.changed_since(0) == FIRST
    assert follower.changed_since(1) is None
    store.swap(successor(FIRST), expected_version=1)
    eventually(lambda: follower.changed_since(1) == successor(FIRST))
    assert follower.changed_since(2) is None
    assert follower.changed_since(1) == successor(FIRST)


def test_a_follower_hears_of_an_older_document_each_time_it_asks(store: TrafficStore, place: Place) -> None:
    store.swap(FIRST, expected_version=0)
    store.swap(successor(FIRST), expected_version=1)
    eventually(lambda: store.changed_since(0) == successor(FIRST))
    place.put(FIRST.model_dump_json())
    eventually(lambda: refuses(store, 2, DataFormatError))
    for _ in range(2):
        with pytest.raises(DataFormatError, match="looked for version 2 or later; found version 1"):
            store.changed_since(2)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 2}', FIRST.model_dump_json()[:-1]])
def test_a_broken_document_is_refused_and_never_swapped_away(
    store: TrafficStore, place: Place, content: str
) -> None:
    store.swap(FIRST, expected_version=0)
    assert store.changed_since(0) == FIRST
    place.put(content)
    with pytest.raises(DataFormatError, match=r"traffic\.json: looked for a traffic document"):
        store.read()
    eventually(lambda: refuses(store, 1, DataFormatError))
    with pytest.raises(DataFormatError):
        store.swap(successor(FIRST), expected_version=1)
    assert place.text() == content


def test_a_document_deleted_under_a_reader_is_missed_until_another_is_there(
    store: TrafficStore, place: Place
) -> None:
    store.swap(FIRST, expected_version=0)
    store.swap(successor(FIRST), expected_version=1)
    eventually(lambda: store.changed_since(0) == successor(FIRST))
    place.delete()
    eventually(lambda: refuses(store, 2, NotFoundError))
    with pytest.raises(NotFoundError):
        store.read()
    assert store.history() == []
    store.swap(FIRST, expected_version=0)
    eventually(lambda: not refuses(store, 0, NotFoundError))
    assert store.changed_since(0) == FIRST
    assert store.history() == [FIRST]


def test_the_history_holds_the_latest_documents_in_order(store: TrafficStore) -> None:
    document = FIRST
    store.swap(document, expected_version=0)
    for version in range(1, 6):
        document = successor(document)
        store.swap(document, expected_version=version)
    assert [past.version for past in store.history()] == [3, 4, 5, 6]  # three predecessors are kept
    assert store.history()[-1] == document


def test_of_many_writers_exactly_one_makes_each_version_and_no_reader_sees_a_half(place: Place) -> None:
    store = place.open()
    store.swap(FIRST, expected_version=0)
    seen, done = [0], threading.Event()

    def follow() -> None:
        while not done.wait(0.01):
            if (document := store.changed_since(seen[-1])) is not None:
                seen.append(document.version)

    def win_swaps(writer: TrafficStore) -> None:
        n_won = 0
        while n_won < N_WINS_EACH:
            now = writer.read()
            with suppress(ConflictError):
                writer.swap(successor(now), expected_version=now.version)
                n_won += 1

    follower = threading.Thread(target=follow)  # an error in it fails the test: warnings are errors
    follower.start()
    with ThreadPoolExecutor(N_WRITERS) as pool:
        list(pool.map(win_swaps, [place.open() for _ in range(N_WRITERS)]))
    eventually(lambda: seen[-1] == 1 + N_WRITERS * N_WINS_EACH)
    done.set()
    follower.join()
    assert store.read().version == seen[-1]
    assert seen == sorted(set(seen))
    assert [document.version for document in store.history()] == [13, 14, 15, 16]
