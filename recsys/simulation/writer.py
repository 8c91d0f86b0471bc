"""A simulated world as a data set folder: written block by block, there at once or not at all."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from recsys.data.folder import DESCRIPTION, INTERACTIONS_FOLDER, ITEMS_FILE, whole_folder
from recsys.data.schema import POSITIVE_KINDS, Kind
from recsys.simulation.behaviour import Behaviour, BlockOfUsers
from recsys.simulation.scenario import Scenario
from recsys.simulation.schedule import make_schedule, rows_per_user
from recsys.simulation.shelves import stock_shelves
from recsys.simulation.slates import SlateMaker
from recsys.simulation.world import World, make_world

DATASET_FORMAT = "marquee-dataset"
DATASET_VERSION = 1
ROWS_PER_PART = 1_000_000
MAX_BLOCK_USERS = 16_384
MAX_BLOCK_BYTES = 64 << 20  # of the bits that say who has seen what

Progress = Callable[[int, int], None]
"""Called with the rows done and the rows planned."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """What was written."""

    path: Path
    n_users: int
    n_items: int
    n_interactions: int
    n_positive: int
    n_parts: int


def block_users(scenario: Scenario) -> int:
    """Return how many users are played at a time. It is part of the result, so it depends on nothing else."""
    return int(np.clip(MAX_BLOCK_BYTES // (scenario.n_items // 8 + 1), 64, MAX_BLOCK_USERS))


def play(world: World, *, n_workers: int = 1) -> Iterator[Behaviour]:
    """Yield the behaviour of all users, block after block; the same whatever ``n_workers`` is.

    At most ``n_workers + 1`` blocks are in memory at a time.
    """
    scenario, seed = world.scenario, world.seed
    slates = SlateMaker(world, stock_shelves(world.catalogue, scenario, seed))
    n_rows = rows_per_user(scenario, seed)
    size = block_users(scenario)

    def one(block: int) -> Behaviour:
        users = slice(block * size, (block + 1) * size)
        schedule = make_schedule(scenario, n_rows[users], seed, block)
        return BlockOfUsers(world, slates, users.start, schedule, block).play()

    pool = ThreadPoolExecutor(n_workers)  # numpy lets go of the interpreter lock
    waiting: deque[Future[Behaviour]] = deque()
    try:
        for block in range(-(-scenario.n_users // size)):
            waiting.append(pool.submit(one, block))
            if len(waiting) > n_workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Parts:
    """Collects blocks and writes a part whenever there are rows enough."""

    def __init__(self, folder: Path, world: World, rows_per_part: int) -> None:
        folder.mkdir()
        self._folder, self._rows_per_part = folder, rows_per_part
        self._world = world
        self._item_ids = pl.Series(world.catalogue.item_ids)
        self._waiting: list[pl.DataFrame] = []
        self.n_parts = self.n_rows = self.n_positive = self.n_users = 0

    def add(self, rows: Behaviour) -> None:
        if rows.user_rows.size == 0:
            return
        users, local = np.unique(rows.user_rows, return_inverse=True)
        user_ids = pl.Series([self._world.user_id(row) for row in users.tolist()])
        frame = rows.frame(user_ids, local, self._item_ids)
        self.n_rows += frame.height
        self.n_users += users.size
        self.n_positive += int(np.isin(rows.kinds, _POSITIVE_CODES).sum())
        self._waiting.append(frame)
        if sum(frame.height for frame in self._waiting) >= self._rows_per_part:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        if self._waiting:
            path = self._folder / f"part-{self.n_parts:05d}.parquet"
            pl.concat(self._waiting).write_parquet(path, statistics=True)
            self.n_parts += 1
            self._waiting.clear()


_POSITIVE_CODES: NDArray[np.uint8] = np.array(
    [code for code, kind in enumerate(Kind) if kind in POSITIVE_KINDS], dtype=np.uint8
)


def simulate(
    scenario: Scenario,
    seed: int,
    out: Path,
    progress: Progress | None = None,
    *,
    n_workers: int = 2,
    rows_per_part: int = ROWS_PER_PART,
) -> Simulated:
    """Write a data set folder: ``interactions/part-*.parquet``, ``items.parquet``, ``dataset.json``.

    Args:
        scenario: what the world is like.
        seed: same scenario and seed, same bytes, whatever ``n_workers`` is.
        out: nothing, an empty folder, or a data set to replace.
        progress: called after every block of users.
        n_workers: blocks played at the same time.
        rows_per_part: a part is written once it has this many rows.

    Raises:
        DataFormatError: something else lies at ``out``. Whatever is raised, ``out`` is then as it was.
    """
    with whole_folder(out) as partial:
        world = make_world(scenario, seed)
        world.catalogue.frame().write_parquet(partial / ITEMS_FILE)
        parts = _Parts(partial / INTERACTIONS_FOLDER, world, rows_per_part)
        for rows in play(world, n_workers=n_workers):
            parts.add(rows)
            if progress is not None:
                progress(parts.n_rows, scenario.n_events)
        parts.flush()
        facts = {
            "format": DATASET_FORMAT,
            "version": DATASET_VERSION,
            "name": f"{scenario.name}-{seed}",
            "seed": seed,
            "n_users": parts.n_users,
            "n_items": world.catalogue.n_items,
            "n_interactions": parts.n_rows,
            "n_positive": parts.n_positive,
            "scenario": scenario.model_dump(mode="json"),
        }
        (partial / DESCRIPTION).write_bytes(orjson.dumps(facts, option=orjson.OPT_INDENT_2) + b"\n")
    return Simulated(
        out, parts.n_users, world.catalogue.n_items, parts.n_rows, parts.n_positive, parts.n_parts
    )
