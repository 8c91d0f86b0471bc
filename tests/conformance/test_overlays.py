"""What every store of the catalogue overlay must do; Redis is a real server, started here."""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from recsys.core.errors import UnavailableError
from recsys.core.ports import free_ports
from recsys.overlay.change import ItemChange
from recsys.overlay.open import open_overlay
from recsys.overlay.overlay import NOTHING, Put
from recsys.overlay.redis import RedisOverlay
from recsys.overlay.sqlite import SqliteOverlay
from recsys.overlay.store import OverlayStore

Opened = Callable[[], OverlayStore]


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    port = free_ports(1)[0]
    folder = str(tmp_path_factory.mktemp("redis"))
    command = [server, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        with Redis(port=port) as client:
            for _ in range(200):
                try:
                    client.ping()
                    break
                except RedisConnectionError:
                    time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(params=["sqlite", "redis"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    if request.param == "sqlite":
        return lambda: SqliteOverlay(tmp_path / "o.db", capacity=50)
    url = request.getfixturevalue("redis_url")
    return lambda: RedisOverlay(url, capacity=50, key_prefix=f"{tmp_path.name}:")


def item(item_id: str, since_s: float, **fields: object) -> ItemChange:
    return ItemChange.model_validate({"item_id": item_id, "since_s": since_s, **fields})


def test_before_the_first_change_there_is_nothing(opened: Opened) -> None:
    with opened() as store:
        assert store.read(NOTHING) is NOTHING
        assert store.remove(["a"]) == 0


def test_what_one_puts_in_another_reads_and_what_has_not_changed_costs_nothing(opened: Opened) -> None:
    with opened() as writer, opened() as reader:
        assert writer.put([item("a", 1.0, title="Ä", tags=["war"], cost=0.5)], [7.0]) == [Put.NEW]
        seen = reader.read(NOTHING)
        assert seen.items["a"].change == item("a", 1.0, title="Ä", tags=["war"], cost=0.5)
        assert seen.items["a"].accepted_s == 7.0
        assert reader.read(seen) is seen
        assert writer.put([item("a", 1.0)], [8.0]) == [Put.OLDER]
        assert reader.read(seen) is seen
        assert writer.put([item("a", 2.0, available=False)], [9.0]) == [Put.CHANGED]
        assert not reader.read(seen).items["a"].change.available


def test_what_is_removed_is_gone_for_readers_too(opened: Opened) -> None:
    with opened() as writer, opened() as reader:
        writer.put([item("a", 1.0), item("b", 1.0)], [0.0, 0.0])
        seen = reader.read(NOTHING)
        assert writer.remove(["a", "unheard-of"]) == 1
        assert set(reader.read(seen).items) == {"b"}
        writer.remove(["b"])
        assert not reader.read(seen).items


def test_who_comes_again_knows_all_of_it(opened: Opened) -> None:
    with opened() as store:
        store.put([item("a", 1.0)], [0.0])
        before = store.read(NOTHING)
    with opened() as store:
        assert store.read(NOTHING) == before


def test_several_who_write_at_once_lose_nothing_and_share_no_slot(opened: Opened) -> None:
    def write(writer: int) -> None:
        with opened() as store:
            for number in range(8):
                store.put([item(f"{writer}-{number}", 1.0)], [0.0])

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with opened() as store:
        items = store.read(NOTHING).items
    assert len(items) == 32
    assert len({one.slot for one in items.values()}) == 32


def test_a_file_that_is_no_database_is_told_as_unavailable(tmp_path: Path) -> None:
    (tmp_path / "o.db").write_text("no database at all, and long enough to be taken for one" * 20)
    with SqliteOverlay(tmp_path / "o.db") as store, pytest.raises(UnavailableError, match=r"o\.db"):
        store.read(NOTHING)


def test_the_overlay_of_an_embedded_state_is_a_file_beside_it_made_by_the_first_change(
    tmp_path: Path,
) -> None:
    with open_overlay(f"sqlite:///{tmp_path / 'state.db'}") as store:
        store.read(NOTHING)
        assert not list(tmp_path.iterdir())
        store.put([item("a", 1.0)], [0.0])
    assert [path.name for path in tmp_path.iterdir()] == ["state.catalogue.db"]
