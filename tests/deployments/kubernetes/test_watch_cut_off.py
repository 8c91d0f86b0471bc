"""The watch of a ConfigMap on a real API server, behind a proxy that the tests cut, and under their hands."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from urllib.parse import urlsplit

import pytest
from kubernetes.client import ApiClient, CoreV1Api

from deployments.kubernetes.address import ConfigMapAddress
from deployments.kubernetes.config_map_store import ConfigMapTrafficStore
from deployments.kubernetes.connection import way_in
from recsys.core.errors import UnavailableError
from recsys.rollout.traffic import TrafficDocument, first_document

pytestmark = pytest.mark.cluster

FIRST = first_document("a" * 16, salt="s", updated_s=0.0)


def successor(document: TrafficDocument) -> TrafficDocument:
    return document.successor(updated_s=document.updated_s + 1, updated_by="ada")


@dataclass
class Clock:
    """Time that the test lets pass."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Proxy:
    """Hands bytes on to a server, until it is cut: then it hangs up on everybody and answers nobody."""

    server: tuple[str, int]
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    cut: threading.Event = field(default_factory=threading.Event)
    lines: list[socket.socket] = field(default_factory=list)
    n_taken: int = 0

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self.listener.accept()
                self.n_taken += 1
                if self.cut.is_set():
                    caller.close()
                    continue
                callee = socket.create_connection(self.server)
                self.lines += [caller, callee]
                for pair in ((caller, callee), (callee, caller)):
                    threading.Thread(target=hand_on, args=pair, daemon=True).start()

    def hang_up(self) -> None:
        self.cut.set()
        for line in self.lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()
        self.lines.clear()


def hand_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)


@pytest.fixture
def proxy(cluster: CoreV1Api) -> Iterator[Proxy]:
    del cluster  # it answers, or this is skipped
    url = urlsplit(way_in().host)
    made = Proxy((str(url.hostname), url.port or 443))
    thread = threading.Thread(target=made.run)
    thread.start()
    yield made
    made.hang_up()
    made.listener.shutdown(socket.SHUT_RDWR)
    made.listener.close()
    thread.join()


def through(proxy: Proxy) -> CoreV1Api:
    configuration = way_in()
    configuration.host = f"https://127.0.0.1:{proxy.listener.getsockname()[1]}"
    return CoreV1Api(ApiClient(configuration))


@dataclass
class Follower:
    """A store that others write to, and one behind the proxy."""

    writer: ConfigMapTrafficStore
    store: ConfigMapTrafficStore
    clock: Clock


@pytest.fixture
def follower(cluster: CoreV1Api, namespace: str, proxy: Proxy) -> Iterator[Follower]:
    address, clock = ConfigMapAddress(namespace, "traffic"), Clock()
    writer = ConfigMapTrafficStore(cluster, address)
    writer.swap(FIRST, expected_version=0)
    with ConfigMapTrafficStore(
        through(proxy), address, clock=clock, chance=Random(7), patience_s=10.0, silence_s=30.0
    ) as store:
        yield Follower(writer, store, clock)


def eventually(holds: Callable[[], bool]) -> None:
    for _ in range(400):
        if holds():
            return
        time.sleep(0.05)
    pytest.fail("not within 20 s")


def test_what_changed_while_it_was_cut_off_is_heard_of_afterwards(follower: Follower, proxy: Proxy) -> None:
    assert follower.store.changed_since(0) == FIRST
    proxy.hang_up()
    n_before = proxy.n_taken
    follower.writer.swap(successor(FIRST), expected_version=1)
    eventually(lambda: proxy.n_taken >= n_before + 2)  # it tries, and tries again
    assert follower.store.changed_since(1) is None  # what was heard last stays
    proxy.cut.clear()
    eventually(lambda: follower.store.changed_since(1) == successor(FIRST))


def test_cut_off_for_long_it_says_so_until_it_hears_again(follower: Follower, proxy: Proxy) -> None:
    assert follower.store.changed_since(0) == FIRST
    proxy.hang_up()
    n_before = proxy.n_taken
    eventually(lambda: proxy.n_taken >= n_before + 2)
    follower.clock.now_s += 29.0
    assert follower.store.changed_since(1) is None
    follower.clock.now_s += 2.0
    with pytest.raises(
        UnavailableError,
        match="not heard of for 31 s: the API server cannot be reached",
    ):
        follower.store.changed_since(1)
    proxy.cut.clear()
    eventually(lambda: still_heard(follower.store))


def still_heard(store: ConfigMapTrafficStore) -> bool:
    try:
        return store.changed_since(1) is None
    except UnavailableError:
        return False


def test_before_anything_was_heard_it_has_nothing_and_waits_once_only(namespace: str, proxy: Proxy) -> None:
    proxy.cut.set()
    address = ConfigMapAddress(namespace, "traffic")
    with ConfigMapTrafficStore(through(proxy), address, patience_s=0.3) as store:
        for _ in range(50):  # with a wait each this would take 15 s
            with pytest.raises(UnavailableError, match=f"^{address} is unavailable: the API server cannot"):
                store.changed_since(0)
        with pytest.raises(UnavailableError, match="cannot be reached"):
            store.read()
        with pytest.raises(UnavailableError, match="cannot be reached"):
            store.swap(FIRST, expected_version=0)


def test_asking_often_asks_the_api_server_nothing(follower: Follower, proxy: Proxy) -> None:
    assert follower.store.changed_since(0) == FIRST
    n_before = proxy.n_taken
    for _ in range(10_000):
        assert follower.store.changed_since(1) is None
    assert proxy.n_taken <= n_before + 1  # the watch itself may have been about to begin


def test_a_closed_store_leaves_no_thread_behind(follower: Follower) -> None:
    assert follower.store.changed_since(0) == FIRST
    follower.store.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("watch configmap")]
