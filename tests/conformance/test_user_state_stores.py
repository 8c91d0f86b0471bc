"""What every store of user state must do; Redis is a real server, started here."""

import contextlib
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from redis import Redis

from recsys.core.errors import FieldError, UnavailableError
from recsys.core.pseudonyms import tombstone_of
from recsys.data.events import Event, EventKind
from recsys.state.open import PASSWORD_VARIABLE, open_user_state
from recsys.state.record import Record, StateLimits, apply_events
from recsys.state.redis import RedisUserState
from recsys.state.sqlite import SqliteUserState
from recsys.state.store import EMPTY, Applied, UserStateStore

REDIS_SERVER = shutil.which("redis-server")


@dataclass
class RedisServer:
    """A redis-server of our own on a free loopback port."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = [
            str(REDIS_SERVER),
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(self.folder),
        ]
        command += ["--save", "", "--appendonly", "yes", "--appendfsync", "always"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.1):
                return
            time.sleep(0.05)
        pytest.fail("redis-server did not listen within 10 s")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    if REDIS_SERVER is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    server = RedisServer(tmp_path_factory.mktemp("redis"), port)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@dataclass
class Place:
    """Somewhere a store can be opened, more than once, and made unable to accept writes."""

    url: str
    open: Callable[[], UserStateStore]
    broken: Callable[[], AbstractContextManager[None]]


@pytest.fixture(params=["sqlite", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "sqlite":
        path = tmp_path / "state.db"
        return Place(
            f"sqlite:///{path}", lambda: SqliteUserState(path, busy_timeout_s=1.0), lambda: _write_lock(path)
        )
    server: RedisServer = request.getfixturevalue("redis_server")
    prefix = f"{tmp_path.name}:"
    return Place(
        server.url, lambda: RedisUserState(server.url, key_prefix=prefix), lambda: _server_down(server)
    )


@contextmanager
def _write_lock(path: Path) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


@contextmanager
def _server_down(server: RedisServer) -> Iterator[None]:
    server.kill()
    yield
    server.start()


@pytest.fixture
def store(place: Place) -> Iterator[UserStateStore]:
    with place.open() as opened:
        yield opened


def watch(event_id: str, user_id: str, item_id: str, time_s: float) -> Event:
    return Event(event_id=event_id, user_id=user_id, kind=EventKind.WATCH, time_s=time_s, item_id=item_id)


def retraction(event_id: str, user_id: str, retracts: str, time_s: float) -> Event:
    kind = EventKind.RETRACTION
    return Event(event_id=event_id, user_id=user_id, kind=kind, time_s=time_s, retracts=retracts)


def test_an_unknown_user_has_an_empty_state(store: UserStateStore) -> None:
    [state] = store.read(["nobody"])
    assert (state.item_ids, state.times_s.tolist(), state.seen) == ((), [], frozenset())
    assert (state.erased_at_s, state.seen_since_s) == (None, None)


def test_nobody_asked_and_nothing_sent_are_answered_with_nothing(store: UserStateStore) -> None:
    assert store.read([]) == []
    assert store.apply([]) == []


def test_states_come_in_the_order_asked_even_when_asked_twice(store: UserStateStore) -> None:
    store.apply([watch("1", "ada", "a", 1.0), watch("1", "bob", "b", 2.0)])
    states = store.read(["bob", "nobody", "ada", "bob"])
    assert [state.item_ids for state in states] == [("b",), (), ("a",), ("b",)]
    assert [state.times_s.tolist() for state in states] == [[2.0], [], [1.0], [2.0]]


def test_one_call_takes_events_of_many_users_and_answers_each(store: UserStateStore) -> None:
    events = [
        watch("1", "ada", "a", 5.0),
        watch("1", "bob", "b", 2.0),
        watch("2", "ada", "c", 1.0),
        watch("1", "ada", "a", 5.0),
        retraction("3", "bob", "1", 3.0),
        retraction("4", "bob", "9", 3.0),
    ]
    accepted = Applied.ACCEPTED
    assert store.apply(events) == [
        accepted,
        accepted,
        accepted,
        Applied.DUPLICATE,
        accepted,
        Applied.UNKNOWN,
    ]
    ada, bob = store.read(["ada", "bob"])
    assert (ada.item_ids, ada.times_s.tolist()) == (("c", "a"), [1.0, 5.0])
    assert ada.seen == {"a", "c"}
    assert (bob.item_ids, bob.seen) == ((), frozenset())


def test_it_is_remembered_how_much_was_watched_and_of_other_kinds_nothing(store: UserStateStore) -> None:
    rating = Event(event_id="2", user_id="ada", kind=EventKind.RATING, time_s=6.0, item_id="b", value=5.0)
    half = Event(event_id="3", user_id="ada", kind=EventKind.WATCH, time_s=4.0, item_id="c", value=0.5)
    store.apply([watch("1", "ada", "a", 5.0), rating])
    assert store.read(["ada"])[0].watched is None
    store.apply([half])
    [state] = store.read(["ada"])
    assert state.item_ids == ("c", "a", "b")
    assert state.watched is not None
    assert np.array_equal(state.watched, [0.5, np.nan, np.nan], equal_nan=True)
    store.apply([retraction("4", "ada", "3", 7.0)])
    assert store.read(["ada"])[0].watched is None


def test_applying_again_changes_nothing(store: UserStateStore) -> None:
    events = [watch("1", "ada", "a", 5.0), watch("2", "ada", "b", 6.0)]
    store.apply(events)
    assert store.apply(events) == [Applied.DUPLICATE, Applied.DUPLICATE]
    assert store.read(["ada"])[0].item_ids == ("a", "b")


def test_a_version_changes_exactly_when_what_serving_reads_changes(store: UserStateStore) -> None:
    def version(user_id: str = "ada") -> bytes:
        return store.read([user_id])[0].version

    assert version() == b""
    store.apply([watch("1", "ada", "a", 5.0), watch("1", "bob", "b", 5.0)])
    first = version()
    assert first not in (b"", version("bob"))
    store.apply([watch("2", "bob", "c", 6.0), watch("1", "ada", "a", 5.0)])
    assert version() == first  # somebody else's event, and one that was known
    store.apply([watch("2", "ada", "b", 6.0)])
    second = version()
    assert second != first
    store.apply([retraction("3", "ada", "2", 7.0)])
    assert version() == first  # all is as it was
    store.apply([watch("4", "ada", "a", 8.0)])
    assert version() not in (first, second)  # the same item again, later
    before = version()
    store.erase("ada", 9.0)
    assert version() != before


def test_a_version_is_the_same_for_all_who_read(place: Place, store: UserStateStore) -> None:
    store.apply([watch("1", "ada", "a", 5.0)])
    with place.open() as other:
        assert other.read(["ada"])[0].version == store.read(["ada"])[0].version


def test_a_retraction_waits_for_its_event_across_calls(store: UserStateStore) -> None:
    assert store.apply([retraction("r", "ada", "1", 6.0)]) == [Applied.UNKNOWN]
    assert store.apply([watch("1", "ada", "a", 5.0)]) == [Applied.ACCEPTED]
    assert store.read(["ada"])[0].seen == frozenset()


def test_an_erased_user_is_forgotten_and_only_later_events_count(store: UserStateStore) -> None:
    store.apply([watch("1", "ada", "a", 5.0), watch("1", "bob", "b", 5.0)])
    store.erase("ada", 7.0)
    refused = store.apply([watch("1", "ada", "a", 5.0), watch("2", "ada", "c", 7.0)])
    assert refused == [Applied.ERASED, Applied.ERASED]
    ada, bob = store.read(["ada", "bob"])
    assert (ada.item_ids, ada.seen, ada.erased_at_s) == ((), frozenset(), 7.0)
    assert bob.item_ids == ("b",)
    assert store.apply([watch("3", "ada", "d", 7.5)]) == [Applied.ACCEPTED]
    assert store.read(["ada"])[0].item_ids == ("d",)


def test_a_user_who_was_never_there_can_be_erased(store: UserStateStore) -> None:
    store.erase("ghost", 3.0)
    assert store.read(["ghost"])[0].erased_at_s == 3.0


def test_a_tombstone_is_kept_by_a_hash_and_the_user_who_comes_back_by_their_id(store: UserStateStore) -> None:
    store.apply([watch("1", "ada", "a", 5.0), watch("2", "ada", "b", 9.0), watch("1", "bob", "b", 5.0)])
    store.erase("ada", 7.0)
    assert store.named(["ada", "bob", "eve"]) == 2  # something later is left
    store.erase("ada", 10.0)
    assert store.named(["ada"]) == 0
    assert store.apply([watch("3", "ada", "c", 10.0)]) == [Applied.ERASED]
    assert store.named(["ada"]) == 0
    assert store.apply([watch("4", "ada", "d", 11.0)]) == [Applied.ACCEPTED]
    [ada] = store.read(["ada"])
    assert (ada.item_ids, ada.erased_at_s, store.named(["ada"])) == (("d",), 10.0, 1)
    store.erase("ada", 8.0)  # an earlier erasure, told late
    assert store.read(["ada"])[0].erased_at_s == 10.0


def test_a_tombstone_can_be_handed_on_without_the_name(store: UserStateStore) -> None:
    store.erase(tombstone_of("ada"), 7.0)
    assert store.apply([watch("1", "ada", "a", 7.0), watch("2", "ada", "b", 8.0)]) == [
        Applied.ERASED,
        Applied.ACCEPTED,
    ]
    store.apply([watch("1", tombstone_of("bob"), "a", 5.0)])  # whoever calls themselves so is nobody else
    assert store.read(["bob"]) == [EMPTY]


def test_ids_of_any_characters_are_kept_apart(store: UserStateStore) -> None:
    strange = ["a", "A", "ä", "a ", "a\n", "a\x00b", "'; DROP TABLE users; --", "用户", "😀", "a:b", "", "%s"]
    store.apply([watch("1", user_id, f"of {user_id}", 1.0) for user_id in strange])
    assert [state.item_ids for state in store.read(strange)] == [(f"of {user_id}",) for user_id in strange]


def test_what_was_applied_is_there_after_opening_again(place: Place) -> None:
    with place.open() as first:
        first.apply([watch("1", "ada", "a", 5.0)])
        first.erase("bob", 2.0)
    with place.open() as second:
        ada, bob = second.read(["ada", "bob"])
        assert (ada.item_ids, bob.erased_at_s) == (("a",), 2.0)


def test_a_store_sees_at_once_what_another_one_wrote(place: Place, store: UserStateStore) -> None:
    with place.open() as other:
        store.read(["ada"])
        other.apply([watch("1", "ada", "a", 5.0)])
        assert store.read(["ada"])[0].item_ids == ("a",)


def test_a_closed_store_says_so(place: Place) -> None:
    store = place.open()
    store.close()
    store.close()
    with pytest.raises(UnavailableError, match="closed"):
        store.read(["ada"])
    with pytest.raises(UnavailableError, match="closed"):
        store.apply([watch("1", "ada", "a", 5.0)])


def test_a_filled_store_holds_whole_records_and_goes_on_from_there(store: UserStateStore) -> None:
    assert isinstance(store, SqliteUserState | RedisUserState)
    records = [
        (f"filled{n}", apply_events(Record(), [watch("1", f"filled{n}", f"i{n}", 1.0)], StateLimits())[0])
        for n in range(3)
    ]
    assert store.fill(iter(records)) == 3
    assert store.apply([watch("1", "filled0", "i0", 1.0), watch("2", "filled0", "j", 2.0)]) == [
        Applied.DUPLICATE,
        Applied.ACCEPTED,
    ]
    assert [state.item_ids for state in store.read(["filled0", "filled2"])] == [("i0", "j"), ("i2",)]
    store.fill([records[0]])
    assert store.read(["filled0"])[0].item_ids == ("i0",)


def test_two_thousand_users_fit_one_call(store: UserStateStore) -> None:
    users = [f"u{n}" for n in range(2_000)]
    store.apply([watch("1", user_id, f"i{user_id}", 1.0) for user_id in users])
    assert [state.item_ids for state in store.read(users)] == [(f"i{user_id}",) for user_id in users]


PROCESS = """
import sys
from recsys.data.events import Event, EventKind
from recsys.state.open import PASSWORD_VARIABLE, open_user_state
url, prefix, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
with open_user_state(url) as store:
    for i in range(n):
        own = Event(event_id=f"{prefix}{i}", user_id="shared-" + sys.argv[4], kind=EventKind.WATCH,
                    time_s=float(i), item_id=f"{prefix}{i}")
        both = Event(event_id=f"both{i}", user_id="shared-" + sys.argv[4], kind=EventKind.WATCH,
                     time_s=float(i), item_id=f"both{i}")
        print(*store.apply([own, both]))
"""


def test_processes_that_apply_to_one_user_at_once_lose_nothing_and_count_once(
    place: Place, tmp_path: Path
) -> None:
    n, names = 40, ("x", "y", "z")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, place.url, name, str(n), tmp_path.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert [output[0::2] for output in outputs] == [["accepted"] * n] * 3
    assert sorted(word for output in outputs for word in output[1::2]) == ["accepted"] * n + ["duplicate"] * (
        2 * n
    )
    with open_user_state(place.url) as store:
        [state] = store.read([f"shared-{tmp_path.name}"])
    expected = {f"{name}{i}" for name in (*names, "both") for i in range(n)}
    assert state.seen == expected
    assert sorted(state.item_ids) == sorted(expected)


def test_threads_share_a_store(store: UserStateStore) -> None:
    def work(name: str) -> None:
        for i in range(25):
            store.apply([watch(f"{name}{i}", "ada", f"{name}{i}", float(i))])
            store.read(["ada", name])

    threads = [threading.Thread(target=work, args=(name,)) for name in "wxyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read(["ada"])[0].seen == {f"{name}{i}" for name in "wxyz" for i in range(25)}


def test_a_broken_store_says_so_soon_loses_nothing_and_comes_back(
    place: Place, store: UserStateStore
) -> None:
    store.apply([watch("1", "ada", "a", 1.0)])
    with place.broken():
        begun = time.monotonic()
        with pytest.raises(UnavailableError, match="user state"):
            store.apply([watch("2", "ada", "b", 2.0)])
        with pytest.raises(UnavailableError, match="user state"):
            store.erase("ada", 9.0)
        assert time.monotonic() - begun < 5.0
    assert store.apply([watch("2", "ada", "b", 2.0)]) == [Applied.ACCEPTED]
    assert store.read(["ada"])[0].item_ids == ("a", "b")


def test_a_url_opens_the_store_it_names(place: Place) -> None:
    with place.open() as named, open_user_state(place.url) as opened:
        assert type(opened) is type(named)


@pytest.mark.parametrize("url", ["mysql://host/db", "state.db", "", "sqlite://state.db", "sqlite:///"])
def test_a_url_of_no_known_store_is_refused_by_name(url: str) -> None:
    with pytest.raises(FieldError, match="user state url"):
        open_user_state(url)


def test_reading_from_a_redis_that_is_down_fails_soon(redis_server: RedisServer) -> None:
    with RedisUserState(redis_server.url) as store:
        store.read(["ada"])
        with _server_down(redis_server):
            begun = time.monotonic()
            with pytest.raises(UnavailableError, match="redis"):
                store.read(["ada"])
            assert time.monotonic() - begun < 2.0
        assert store.read(["nobody"])[0].item_ids == ()


def test_a_redis_that_hangs_costs_one_timeout(redis_server: RedisServer) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        begun = time.monotonic()
        with RedisUserState(url, timeout_s=0.2) as store, pytest.raises(UnavailableError):
            store.read(["ada"])
        assert time.monotonic() - begun < 2.0


def test_readers_of_a_sqlite_file_are_not_held_up_by_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with SqliteUserState(path) as store:
        store.apply([watch("1", "ada", "a", 1.0)])
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("DELETE FROM users")
            assert store.read(["ada"])[0].item_ids == ("a",)


def test_opening_a_sqlite_file_waits_for_whoever_is_making_it(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UnavailableError, match="locked"):
            SqliteUserState(path, busy_timeout_s=0.1)
        release = threading.Timer(0.2, other.execute, ["COMMIT"])
        release.start()
        with SqliteUserState(path, busy_timeout_s=5.0) as store:
            assert store.read(["ada"])[0].item_ids == ()
        release.join()


def test_a_file_that_is_no_database_is_unavailable_by_name(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"no database " * 1_000)
    with pytest.raises(UnavailableError, match=r"state\.db: file is not a database"):
        SqliteUserState(path)


def test_an_erased_user_leaves_no_bytes_in_the_sqlite_files(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with SqliteUserState(path) as store:
        store.apply([watch(f"secret{n}", "ada", f"secret{n}", float(n)) for n in range(300)])
        assert b"secret299" in b"".join(file.read_bytes() for file in tmp_path.iterdir())
        store.erase("ada", 1_000.0)
        assert b"secret" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())


def test_no_byte_of_an_erased_users_id_stays_wherever_sqlite_moved_the_row(tmp_path: Path) -> None:
    """Rows of many lengths split and merge pages; the search is over every byte of every file."""
    path = tmp_path / "state.db"
    with SqliteUserState(path) as store:
        users = [f"person-{number:04}-{'x' * (number * 37 % 300)}-end" for number in range(600)]
        store.apply([watch(f"e{row}", user, f"i{row}", float(row)) for row, user in enumerate(users)])
        for user in users[::2]:
            store.erase(user, 1_000.0)
        store.scrub()
        kept = b"".join(file.read_bytes() for file in store.files)
    assert not [user for user in users[::2] if user.encode() in kept]
    assert all(user.encode() in kept for user in users[1::2])


def test_redis_finds_a_text_in_any_key_or_value(redis_server: RedisServer) -> None:
    with RedisUserState(redis_server.url, key_prefix="found[1]:") as store:
        store.apply([watch("of-lovelace", "ada-lovelace", "a", 5.0), watch("e", "bob-the-second", "a", 5.0)])
        assert store.containing(["lovelace"]) == 2  # the key, and the ledger
        store.erase("ada-lovelace", 9.0)
        assert store.containing(["lovelace"]) == 0
        assert store.containing(["bob-the-second"]) == 1
        assert store.containing([]) == 0


def test_the_password_of_redis_comes_from_the_environment(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Redis.from_url(redis_server.url) as client:
        client.acl_setuser("shop", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all"])
    url = redis_server.url.replace("//", "//shop@")
    monkeypatch.setenv(PASSWORD_VARIABLE, "secret")
    with open_user_state(url) as store:
        assert store.read(["nobody"]) == [EMPTY]
    monkeypatch.setenv(PASSWORD_VARIABLE, "guess")
    with open_user_state(url) as store, pytest.raises(UnavailableError, match="username-password"):
        store.read(["nobody"])
    with open_user_state(url.replace("@", ":secret@")) as store:  # what the url says counts
        assert store.read(["nobody"]) == [EMPTY]
