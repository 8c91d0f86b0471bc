"""All features of a data set into a folder, in bounded memory, by whatever runs the tasks.

Three rounds of tasks, each of which reads files and writes files: *reading* (each piece of the source into
one file per partition of users), *users* (the table of each partition, and its plays per item and hour),
*items* (the windows of each partition of items). A task holds one piece or one partition and nothing else,
and a user is in one partition, whoever runs the tasks: so all executors make the same rows. On several
machines the folder is one that all of them see.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import orjson
import polars as pl

from recsys.core.hashing import digest_bytes, hash64_many
from recsys.data.folder import whole_folder
from recsys.features.sources import Piece, Source
from recsys.features.table import USER_TABLE, Catalogue, catalogue_of, choices_of, user_table
from recsys.features.windows import PLAYS, WINDOWS_HOURS, item_windows, plays_of

DESCRIPTION = "features.json"
USERS_FOLDER, ITEMS_FOLDER = "users", "items"
ROWS_PER_PARTITION = 500_000
"""Choices that a task holds at a time, about; a user is never divided."""

_WORK = ".work"
_SCATTERED, _PLAYS = "scattered", "plays"
_PARTITIONS_PER_ITEMS = 4  # plays are fewer and smaller than choices
_SALT = "features"

Task = TypeVar("Task")
Result = TypeVar("Result")
Progress = Callable[[str, float], None]


class Executor(Protocol):
    """Runs tasks that do not depend on each other."""

    def run(self, work: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """Yield the result of each task as it comes, in any order."""
        ...


class Here:
    """Runs tasks one after another in this process; Polars uses all cores for each."""

    def run(self, work: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """See :class:`Executor`."""
        return map(work, tasks)


@dataclass(frozen=True, slots=True)
class Built:
    """What was written."""

    n_rows_read: int
    n_bad: int
    n_choices: int  # rows of the users' table
    n_users: int
    n_item_rows: int  # rows of the items' table
    n_partitions: int


@dataclass(frozen=True, slots=True)
class _Done:
    number: int  # of the task
    n_rows: int = 0
    n_bad: int = 0
    n_users: int = 0


def build(
    source: Source,
    out: Path,
    executor: Executor,
    *,
    rows_per_partition: int = ROWS_PER_PARTITION,
    on_step: Progress = lambda _name, _share: None,
) -> Built:
    """Write ``users/*.parquet``, ``items/*.parquet`` and ``features.json``; all of it, or nothing.

    Args:
        source: the interactions.
        out: the folder; an older one of features is replaced.
        executor: what runs the tasks.
        rows_per_partition: what a task may hold, about.
        on_step: is told what is done and which share of it.

    Raises:
        DataFormatError: something else lies at ``out``; or as ``source`` says.
    """
    out = out.absolute()
    pieces = source.pieces()
    n_read = sum(piece.n_rows for piece in pieces)
    n_partitions = max(1, -(-n_read // rows_per_partition))
    n_items = max(1, -(-n_partitions // _PARTITIONS_PER_ITEMS))
    with whole_folder(out, description=DESCRIPTION, kind="features") as folder:
        work = folder / _WORK
        for path in (work / _SCATTERED, work / _PLAYS, folder / USERS_FOLDER, folder / ITEMS_FOLDER):
            path.mkdir(parents=True)
        source.items().write_parquet(work / "items.parquet")

        def round_of(
            name: str, make: Callable[[Task], _Done], tasks: Sequence[Task], used_up: str = ""
        ) -> list[_Done]:
            on_step(name, 0.0)
            done = []
            for result in executor.run(make, tasks):
                done.append(result)
                if used_up:  # not by the task itself: Ray may run one twice
                    shutil.rmtree(work / used_up / f"{result.number:05d}", ignore_errors=True)
                on_step(name, len(done) / len(tasks))
            return done

        scatter = partial(_scatter, source=source, work=work, n_partitions=n_partitions)
        read = round_of("reading", scatter, list(enumerate(pieces)))
        users = partial(_users, source=source, folder=folder, n_items=n_items)
        found = round_of("users", users, range(n_partitions), _SCATTERED)
        windows = round_of("items", partial(_items, folder=folder), range(n_items))
        shutil.rmtree(work)
        built = Built(
            n_read,
            sum(done.n_bad for done in read),
            sum(done.n_rows for done in found),
            sum(done.n_users for done in found),
            sum(done.n_rows for done in windows),
            n_partitions,
        )
        _describe(folder, source, built)
    return built


def _scatter(task: tuple[int, Piece], *, source: Source, work: Path, n_partitions: int) -> _Done:
    """Write each row of a piece to the partition of its user; the file is named by the piece: its order."""
    number, piece = task
    rows, n_bad = source.read(piece)
    for partition, part in _by_partition(rows, "user_id", n_partitions):
        folder = work / _SCATTERED / f"{partition:05d}"
        folder.mkdir(exist_ok=True)
        part.write_parquet(folder / f"{number:08d}.parquet", compression="lz4", statistics=False)
    return _Done(number, rows.height, n_bad)


def _users(partition: int, *, source: Source, folder: Path, n_items: int) -> _Done:
    work = folder / _WORK
    scattered = work / _SCATTERED / f"{partition:05d}"
    files = sorted(scattered.glob("*.parquet"))
    table = pl.DataFrame(schema=USER_TABLE)
    if files:
        catalogue = _catalogue(work)
        rows = source.interactions(pl.concat([pl.read_parquet(file) for file in files]))
        choices = choices_of(rows, catalogue)
        del rows
        for number, plays in _by_partition(plays_of(choices), "item_id", n_items):
            into = work / _PLAYS / f"{number:05d}"
            into.mkdir(exist_ok=True)
            plays.write_parquet(into / f"{partition:05d}.parquet", compression="lz4", statistics=False)
        table = user_table(choices, catalogue)
    table.write_parquet(folder / USERS_FOLDER / f"part-{partition:05d}.parquet")
    return _Done(partition, table.height, n_users=table["user_id"].n_unique())


def _items(number: int, *, folder: Path) -> _Done:
    files = sorted((folder / _WORK / _PLAYS / f"{number:05d}").glob("*.parquet"))
    plays = pl.concat([pl.DataFrame(schema=PLAYS), *(pl.read_parquet(file) for file in files)])
    windows = item_windows(plays.group_by("item_id", "hour").agg(pl.col("n").sum()))
    windows.write_parquet(folder / ITEMS_FOLDER / f"part-{number:05d}.parquet")
    return _Done(number, windows.height)


def _catalogue(work: Path) -> Catalogue:
    return catalogue_of(pl.read_parquet(work / "items.parquet"))


def _by_partition(rows: pl.DataFrame, column: str, n: int) -> Iterator[tuple[int, pl.DataFrame]]:
    """Divide rows by a hash that is the same on every machine; rows of a part keep their order."""
    ids = rows[column].unique()
    numbers = (hash64_many(ids.to_list(), _SALT) % n).astype("int32")
    numbered = rows.join(
        pl.DataFrame({column: ids, "partition": numbers}), on=column, how="left", maintain_order="left"
    )
    parts = numbered.partition_by("partition", as_dict=True, include_key=False, maintain_order=True)
    for (partition,), part in parts.items():
        yield int(partition), part


def _describe(folder: Path, source: Source, built: Built) -> None:
    described = {
        "format": "marquee-features",
        "version": 1,
        "of": digest_bytes(source.identity.encode()),
        "as_of": "strictly before time_s of the row; items: from time_s of the row on",
        "users": {name: str(dtype) for name, dtype in USER_TABLE.items()},
        "items": list(WINDOWS_HOURS),
        **asdict(built),
    }
    (folder / DESCRIPTION).write_bytes(orjson.dumps(described, option=orjson.OPT_INDENT_2) + b"\n")
