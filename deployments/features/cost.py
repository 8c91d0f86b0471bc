"""What features cost on Ray Data, and in how much memory: ``python -m deployments.features.cost``.

Events are made up slice by slice, as an event log would have them: in order of time, users mixed. A line of
JSON per run.
"""

import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import orjson
import polars as pl
import typer

from deployments.features.ray_data import RayData
from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.memory import peak_watched
from recsys.data.badrows import OnBadRow
from recsys.data.folder import INTERACTIONS_FOLDER, ITEMS_FILE, whole_folder, write_description
from recsys.data.schema import ITEMS, KIND_DTYPE, Kind
from recsys.features.build import ROWS_PER_PARTITION, build
from recsys.features.sources import ROWS_PER_PIECE, source_of
from recsys.features.table import catalogue_of, choices_of, user_table

_START_S = 1.7e9
_N_DAYS = 30
_EVENTS_PER_FILE = 1_000_000
_EVENTS_PER_USER = 40
_EVENTS_PER_VISIT = 5.0
_BETWEEN_S = 180.0
_N_ITEMS, _N_TAGS = 20_000, 200


@dataclass(frozen=True, slots=True)
class Cost:
    """One run."""

    n_events: int
    n_users: int
    n_workers: int
    rows_per_partition: int
    seconds: float
    events_per_s: float
    reading_s: float
    users_s: float
    items_s: float
    driver_and_workers_mb: float  # peak, pages that are shared counted once, Ray's own processes included
    workers_mb: float  # peak of those that run tasks, together
    input_mb: float
    output_mb: float


def write_events(folder: Path, n_events: int, *, seed: int) -> None:
    """Write a data set of made-up visits, one file in memory at a time."""
    n_files = max(1, -(-n_events // _EVENTS_PER_FILE))
    with whole_folder(folder) as temporary:
        (temporary / INTERACTIONS_FOLDER).mkdir()
        for file in range(n_files):
            n = min(_EVENTS_PER_FILE, n_events - file * _EVENTS_PER_FILE)
            span_s = _N_DAYS * SECONDS_PER_DAY / n_files
            rng = np.random.default_rng((seed, file))
            rows = _visits(rng, n, max(1, n_events // _EVENTS_PER_USER), _START_S + file * span_s, span_s)
            rows.write_parquet(temporary / INTERACTIONS_FOLDER / f"part-{file:05d}.parquet")
        _items(np.random.default_rng(seed)).write_parquet(temporary / ITEMS_FILE)
        write_description(temporary, folder.name, n_interactions=n_events, n_items=_N_ITEMS)


def _visits(rng: np.random.Generator, n: int, n_users: int, start_s: float, span_s: float) -> pl.DataFrame:
    lengths = rng.geometric(1.0 / _EVENTS_PER_VISIT, n)
    lengths = lengths[: int(np.searchsorted(np.cumsum(lengths), n)) + 1]
    visits = np.repeat(np.arange(len(lengths)), lengths)[:n]
    gaps_s = rng.exponential(_BETWEEN_S, n)
    since_s = np.cumsum(gaps_s)
    since_s -= since_s[np.searchsorted(visits, visits)]  # the first of a visit is its start
    times_s = np.rint(start_s + rng.random(len(lengths))[visits] * span_s + since_s)
    shares = np.cumsum(np.arange(1, _N_ITEMS + 1) ** -0.8)
    items = np.minimum(np.searchsorted(shares / shares[-1], rng.random(n)), _N_ITEMS - 1)
    users = rng.integers(n_users, size=len(lengths))[visits]
    order = np.argsort(times_s, kind="stable")
    columns = {"user": users[order], "item": items[order], "time_s": times_s[order]}
    return pl.DataFrame({**columns, "value": rng.random(n, dtype=np.float32)}).select(
        pl.format("u{}", "user").alias("user_id"),
        pl.format("i{}", "item").alias("item_id"),
        pl.lit(Kind.WATCH.value, dtype=KIND_DTYPE).alias("kind"),
        "time_s",
        "value",
        pl.lit(None, dtype=pl.String()).alias("context"),
    )


def _items(rng: np.random.Generator) -> pl.DataFrame:
    tags = [[f"tag{tag}" for tag in rng.integers(_N_TAGS, size=3)] for _ in range(_N_ITEMS)]
    rows = {
        "item_id": [f"i{row}" for row in range(_N_ITEMS)],
        "tags": tags,
        "duration_s": rng.uniform(10.0, 600.0, _N_ITEMS).astype(np.float32),
    }
    return pl.DataFrame(rows).select(
        pl.col(name).cast(dtype) if name in rows else pl.lit(None, dtype).alias(name)
        for name, dtype in ITEMS.items()
    )


def measure(data: Path, out: Path, n_workers: int, rows_per_partition: int, rows_per_piece: int) -> Cost:
    """Build all features of a data set once."""
    source = source_of(data, on_bad_row=OnBadRow.FAIL, now_s=_START_S * 2, rows_per_piece=rows_per_piece)
    with RayData(n_workers) as executor:
        list(executor.run(_warm, range(n_workers)))
        with peak_watched(lambda command: command.startswith("ray::")) as peak:
            began: dict[str, float] = {}

            def note(name: str, _: float) -> None:
                began.setdefault(name, time.perf_counter())

            began_s = time.perf_counter()
            built = build(
                source,
                out,
                executor,
                rows_per_partition=rows_per_partition,
                on_step=note,
            )
            ended_s = time.perf_counter()
    seconds = ended_s - began_s
    return Cost(
        n_events=built.n_rows_read,
        n_users=built.n_users,
        n_workers=n_workers,
        rows_per_partition=rows_per_partition,
        seconds=round(seconds, 1),
        events_per_s=round(built.n_rows_read / seconds),
        reading_s=round(began["users"] - began["reading"], 1),
        users_s=round(began["items"] - began["users"], 1),
        items_s=round(ended_s - began["items"], 1),
        driver_and_workers_mb=round(peak.all_mb),
        workers_mb=round(peak.some_mb),
        input_mb=round(_size_mb(data)),
        output_mb=round(_size_mb(out)),
    )


def _warm(number: int) -> int:
    """Let a worker load what tasks need and compile it, so that no run pays for it."""
    items = pl.DataFrame({"item_id": ["a"], "tags": [["x"]], "duration_s": [1.0]})
    row = {"user_id": ["u"], "item_id": ["a"], "kind": ["watch"], "time_s": [0.0], "value": [0.5]}
    catalogue = catalogue_of(items)
    return number + user_table(choices_of(pl.DataFrame(row), catalogue), catalogue).height


def _size_mb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20


def main(
    *,
    events: Annotated[list[int] | None, typer.Option(min=1, help="Sizes.")] = None,
    workers: Annotated[list[int] | None, typer.Option(min=1, help="How many at a time.")] = None,
    rows_per_partition: Annotated[int, typer.Option(min=1)] = ROWS_PER_PARTITION,
    rows_per_piece: Annotated[int, typer.Option(min=1)] = ROWS_PER_PIECE,
    folder: Annotated[Path | None, typer.Option(help="For the files; a temporary one when absent.")] = None,
    seed: Annotated[int, typer.Option(help="Of the events.")] = 0,
) -> None:
    """Make events of each size, and build their features with each number of workers."""
    with tempfile.TemporaryDirectory(prefix="marquee-features-", dir=folder) as temporary:
        for n_events in events or [5_000_000, 20_000_000]:
            data, out = Path(temporary) / "events", Path(temporary) / "features"
            write_events(data, n_events, seed=seed)
            for n_workers in workers or [1, 2]:
                cost = measure(data, out, n_workers, rows_per_partition, rows_per_piece)
                typer.echo(orjson.dumps(asdict(cost)).decode())


if __name__ == "__main__":
    typer.run(main)
