"""The graph with few and with a million users that have a history, in SQLite and in Redis."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypedDict

from loadtest.bench import servers
from loadtest.bench.asked import requests_for
from loadtest.bench.histories import histories
from loadtest.bench.rows import Row, row_of, turn
from loadtest.engine.run import drive_closed
from recsys.core.clock import Clock
from recsys.core.errors import UnavailableError
from recsys.core.ports import free_ports
from recsys.state.redis import RedisUserState
from recsys.state.sqlite import SqliteUserState

_WARM_UP_S = 3.0
_REDIS_START_S = 10.0


class Crowd(TypedDict):
    """One store with so many users, and how the graph did on it."""

    store: str
    n_users: int
    n_items: int
    fill_s: float
    store_mb: float  # the file, or the server's memory
    rows: list[Row]


def measure(
    registry: Path,
    home: Path,
    store: str,
    n_users: int,
    n_items: int,
    *,
    seconds: float,
    clock: Clock,
    on_step: Callable[[str], None] = lambda _: None,
) -> Crowd:
    """Fill a store, serve on it, drive at 1 and at 64 connections.

    Args:
        registry: its channel ``stable`` names a bundle of ``n_items``.
        home: an empty folder.
        store: ``sqlite`` or ``redis``.
        n_users: with twenty items each; requests come from all of them alike.
        n_items: of the catalogue.
        seconds: per number of connections.
        clock: monotonic seconds.
        on_step: is told what comes next.

    Raises:
        UnavailableError: there is no redis-server.
    """
    title = f"{n_users:,} users in {store}, {n_items:,} items"
    on_step(f"{title}: filling")
    with _store(store, home) as (url, size_mb):
        began_s = clock()
        with SqliteUserState(home / "state.db") if store == "sqlite" else RedisUserState(url) as opened:
            opened.fill(histories(n_users, n_items))
        fill_s = clock() - began_s
        asked = requests_for(n_users, n_items)
        with servers.serve(registry, home, ("--state", url)) as server:
            drive_closed(server.url, asked, connections=64, duration_s=_WARM_UP_S)
            rows = []
            for level in (1, 64):
                on_step(f"{title}: {level} connections")
                drive = partial(drive_closed, requests=asked, connections=level, duration_s=seconds)
                rows.append(row_of(title, f"{level} connections", [turn(server, drive)]))
        return Crowd(
            store=store,
            n_users=n_users,
            n_items=n_items,
            fill_s=round(fill_s, 1),
            store_mb=round(size_mb()),
            rows=rows,
        )


@contextmanager
def _store(store: str, home: Path) -> Iterator[tuple[str, Callable[[], float]]]:
    """Yield the url of a store and what tells its size."""
    if store == "sqlite":
        path = home.absolute() / "state.db"
        yield f"sqlite:///{path}", lambda: path.stat().st_size / 2**20
        return
    program = shutil.which("redis-server")
    if program is None:
        raise UnavailableError("redis-server", "not installed (Debian: apt-get install redis-server)")
    (port,) = free_ports(1)
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(home)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield f"redis://127.0.0.1:{port}/0", lambda: _resident_mb(process.pid)
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int) -> None:
    give_up_s = time.monotonic() + _REDIS_START_S
    while time.monotonic() < give_up_s:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise UnavailableError("redis-server", f"it did not listen within {_REDIS_START_S:g} s")


def _resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
