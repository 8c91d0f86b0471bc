"""How time and memory grow with the sizes of the problem: one size at a time, in one process, no server."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import TypedDict

import numpy as np

from loadtest.bench.floor import best_ms, one_thread, some_users
from loadtest.bench.histories import histories
from recsys.core.clock import Clock
from recsys.pipeline.stages import TwoStage
from recsys.registry.local import LocalRegistry
from recsys.registry.reader import open_bundle
from recsys.state.sqlite import SqliteUserState

_TOP_N = 10
_BATCH = 16
_USERS_PER_READ = 64

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
CANDIDATES = (25, 50, 100, 200, 400, 800)
USERS = (1_000, 10_000, 100_000, 1_000_000)


class Point(TypedDict):
    """One size, and what it costs."""

    size: int
    ms: float  # of one core per user
    memory_mb: float  # of the bundle, or of the store


Curves = dict[str, list[Point]]


def measure(
    registries: dict[int, Path],
    home: Path,
    cpu_clock: Clock,
    *,
    usual_items: int,
    seconds: float,
    on_step: Callable[[str], None] = lambda _: None,
) -> Curves:
    """Measure latency per user and memory against items, candidates, batch size and users.

    Args:
        registries: number of items -> a registry with a bundle of that many.
        home: an empty folder for a store of users.
        cpu_clock: processor seconds of this process.
        usual_items: the catalogue for everything but the curve over items.
        seconds: per point.
        on_step: is told what comes next.
    """
    curves: Curves = {"items": []}
    for n_items, registry in sorted(registries.items()):
        on_step(f"growth: {n_items:,} items")
        folder = LocalRegistry(registry).get("stable")
        model = TwoStage.load(open_bundle(folder, feature_schema=None))
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        curves["items"].append(_point(n_items, model, _BATCH, cpu_clock, seconds, size))
        if n_items == usual_items:
            on_step("growth: batch sizes and candidates")
            curves["batch"] = [_point(n, model, n, cpu_clock, seconds) for n in BATCHES]
            curves["candidates"] = [
                _point(n, replace(model, n_candidates=n), _BATCH, cpu_clock, seconds) for n in CANDIDATES
            ]
    curves["users"] = _users(home, usual_items, USERS, cpu_clock, seconds, on_step)
    return curves


def _point(
    size: int, model: TwoStage, batch: int, cpu_clock: Clock, seconds: float, size_bytes: int = 0
) -> Point:
    users = some_users(model, batch)
    with one_thread():
        per_user_ms = best_ms(lambda: model.recommend(users, _TOP_N), cpu_clock, seconds=seconds) / batch
    return Point(size=size, ms=round(per_user_ms, 4), memory_mb=round(size_bytes / 2**20, 1))


def _users(
    home: Path,
    n_items: int,
    sizes: Sequence[int],
    cpu_clock: Clock,
    seconds: float,
    on_step: Callable[[str], None],
) -> list[Point]:
    """Read the states of 64 users at once from files of more and more of them."""
    points = []
    for n_users in sizes:
        on_step(f"growth: {n_users:,} users")
        path = home / f"{n_users}.db"
        with SqliteUserState(path) as store:
            store.fill(histories(n_users, n_items))
            ms = best_ms(_Reads(store, n_users), cpu_clock, seconds=seconds) / _USERS_PER_READ
        points.append(Point(size=n_users, ms=round(ms, 4), memory_mb=round(path.stat().st_size / 2**20, 1)))
        path.unlink()
    return points


class _Reads:
    """Each call reads the states of other users."""

    def __init__(self, store: SqliteUserState, n_users: int) -> None:
        drawn = np.random.default_rng(0).integers(0, n_users, (_USERS_PER_READ, _USERS_PER_READ))
        self._asked = cycle(drawn.astype(str).tolist())
        self._store = store

    def __call__(self) -> None:
        self._store.read(next(self._asked))
