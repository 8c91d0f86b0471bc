"""What a refresh costs, and how equal it is: ``python -m recsys.training.refresh_cost --users 1000000``.

Users come and go over a month; every user likes one group of items, and popular items. The sequential part of
recall is fitted on all days, and brought from all days but the last to all of them.
"""

import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import orjson
import typer
from numpy.typing import NDArray

from recsys.core.clock import SECONDS_PER_DAY
from recsys.data.log import InteractionLog
from recsys.recall.counted import COUNTED_SCHEMA, Counted, counted, recounted
from recsys.recall.sequential import SequentialConfig, SequentialSource, solve_sequential
from recsys.registry.manifest import Manifest
from recsys.registry.reader import open_bundle
from recsys.registry.writer import BundleRef, write_bundle

_N_GROUPS = 50
_SHARE_OF_GROUP = 0.5  # of a user's events; the others are popular items
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of every step, and what differs in the end."""

    n_users: int
    n_events: int
    n_new_events: int
    n_users_changed: int
    n_items: int
    n_head: int
    count_all_s: float
    read_sums_s: float
    count_changes_s: float
    save_sums_s: float
    solve_s: float  # of either
    sums_mb: float  # on disk
    peak_mb: float
    sums_off: float  # largest difference of a sum, as a share of it or of 1, whichever is larger
    weights_off: float  # largest difference of a weight
    largest_weight: float


def made_up_log(n_users: int, n_items: int, events_each: float, n_days: int, *, seed: int) -> InteractionLog:
    """Return a log in which popularity falls as 1 / rank^0.8 and everybody has a taste."""
    rng = np.random.default_rng(seed)
    lengths = np.clip(rng.geometric(1.0 / events_each, n_users), 1, _LONGEST)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    n_events = int(offsets[-1])
    users = np.repeat(np.arange(n_users), lengths)
    times_s = rng.random(n_events) * n_days * SECONDS_PER_DAY
    times_s = times_s[np.lexsort((times_s, users))]
    ranks = _ranks(rng, n_events, n_items)
    groups = rng.integers(_N_GROUPS, size=n_users)[users]
    own = rng.random(n_events) < _SHARE_OF_GROUP
    item_rows = np.where(own, np.minimum(ranks // _N_GROUPS * _N_GROUPS + groups, n_items - 1), ranks)
    return InteractionLog(
        offsets,
        item_rows.astype(np.int32),
        times_s,
        np.zeros(n_events, dtype=np.int16),
        tuple(f"u{user:09d}" for user in range(n_users)),
        (),
        n_items,
    )


def _ranks(rng: np.random.Generator, n: int, n_items: int) -> NDArray[np.int64]:
    shares = np.cumsum(np.arange(1, n_items + 1) ** -0.8)
    found: NDArray[np.int64] = np.searchsorted(shares / shares[-1], rng.random(n))
    return np.minimum(found, n_items - 1)


def measure(log: InteractionLog, last_day_s: float, config: SequentialConfig, folder: Path) -> Cost:
    """Count everything, and count what a day has changed, and compare."""
    item_ids = [f"i{row}" for row in range(log.n_items)]
    past = log.select(log.times_s < last_day_s)
    kept = _keep(counted(past, item_ids, config), config, folder)
    seconds: dict[str, float] = {}
    with _timed(seconds, "read_sums_s"):
        old = Counted.load(open_bundle(kept.path, feature_schema=COUNTED_SCHEMA), config)
    with _timed(seconds, "count_changes_s"):
        new, difference = recounted(old, log, item_ids, config)
    del old
    with _timed(seconds, "save_sums_s"):
        _keep(new, config, folder)
    with _timed(seconds, "solve_s"):
        by_changes = solve_sequential(new.moments, log.n_items, config)
    with _timed(seconds, "count_all_s"):
        whole = counted(log, item_ids, config)
    sums_off = _largest_share(new.moments.pairs, whole.moments.pairs)
    del new
    off, largest = _weights_off(by_changes, solve_sequential(whole.moments, log.n_items, config))
    return Cost(
        n_users=log.n_users,
        n_events=len(log.item_rows),
        n_new_events=len(log.item_rows) - len(past.item_rows),
        n_users_changed=difference.n_users,
        n_items=log.n_items,
        n_head=len(whole.moments),
        **seconds,
        sums_mb=Manifest.read(kept.path).n_bytes / 2**20,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        sums_off=sums_off,
        weights_off=off,
        largest_weight=largest,
    )


def _keep(sums: Counted, config: SequentialConfig, folder: Path) -> BundleRef:
    fill = partial(sums.save, config=config)
    return write_bundle(folder, fill, feature_schema=COUNTED_SCHEMA, created_s=0.0, meta={})


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    began_s = time.perf_counter()
    yield
    seconds[name] = round(time.perf_counter() - began_s, 2)


def _weights_off(one: SequentialSource, other: SequentialSource) -> tuple[float, float]:
    """Return the largest difference of a weight as it is served, and the largest weight."""
    off = largest = 0.0
    for which, quanta in enumerate(other.exact.quanta):
        for row, weights in enumerate(quanta):
            theirs = weights * other.exact.scales[which, row]
            ours = one.exact.quanta[which, row] * one.exact.scales[which, row]
            off = max(off, float(np.abs(ours - theirs).max(initial=0.0)))
            largest = max(largest, float(np.abs(theirs).max(initial=0.0)))
    return off, largest


def _largest_share(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Compare row by row: all at once would take as much memory again."""
    return max(
        (float((np.abs(a - b) / np.maximum(1.0, np.abs(b))).max()) for a, b in zip(one, other, strict=True)),
        default=0.0,
    )


def main(
    *,
    users: Annotated[int, typer.Option(min=1, help="How many.")] = 1_000_000,
    items: Annotated[int, typer.Option(min=1, help="Of the catalogue.")] = 20_000,
    events_each: Annotated[float, typer.Option(min=1.0, help="Per user, on average.")] = 15.0,
    days: Annotated[int, typer.Option(min=2, help="The last of them is new.")] = 31,
    head: Annotated[int, typer.Option(min=1, help="Items that take part.")] = 6_000,
    seed: Annotated[int, typer.Option(help="Of the log.")] = 0,
) -> None:
    """Print one line of JSON."""
    config = SequentialConfig(max_items=head)
    warm = made_up_log(50, 60, 5.0, days, seed=seed)  # loops are compiled before anything is measured
    log = made_up_log(users, items, events_each, days, seed=seed)
    last_day_s = (days - 1) * SECONDS_PER_DAY
    with tempfile.TemporaryDirectory(prefix="marquee-refresh-") as folder:
        measure(warm, last_day_s, config, Path(folder) / "warm")
        cost = measure(log, last_day_s, config, Path(folder) / "sums")
    typer.echo(orjson.dumps(asdict(cost), option=orjson.OPT_INDENT_2).decode())


if __name__ == "__main__":
    typer.run(main)
