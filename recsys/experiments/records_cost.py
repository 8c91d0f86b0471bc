"""What records cost: ``python -m recsys.experiments.records_cost [LISTS] [EVENTS]``, seconds and memory."""

import json
import resource
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Final, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.clock import SECONDS_PER_DAY, monotonic_clock
from recsys.core.pseudonyms import Pseudonyms
from recsys.data.events import Event, EventKind
from recsys.eventlog.exposure import SCHEMA
from recsys.eventlog.exposure_files import write_exposures
from recsys.eventlog.writer import EventLogWriter
from recsys.experiments.feedback import read_records
from recsys.experiments.follower import Follower
from recsys.experiments.list_facts import list_facts
from recsys.experiments.reactions import read_reactions
from recsys.experiments.units import units_of

_BEGIN_S: Final = 20_000 * SECONDS_PER_DAY
_LISTS_PER_FILE: Final = 16_384
_EVENTS_PER_APPEND: Final = 1_000
_N_ITEMS: Final = 10
_CATALOGUE: Final = 20_000
_LISTS_PER_USER: Final = 10
_KINDS: Final = (EventKind.WATCH, EventKind.CLICK, EventKind.SKIP, EventKind.LIKE)
_NAMED: Final = 0.75  # share of events that say which request they follow from

Value = TypeVar("Value")


def main(n_lists: int = 1_000_000, n_events: int = 1_500_000) -> None:
    """Print one line of JSON per step: seconds, those on a processor, and the most memory held so far."""
    rng = np.random.default_rng(0)
    pseudonyms = Pseudonyms(b"k" * 32)
    with TemporaryDirectory() as folder:
        exposures, log = Path(folder) / "exposures", Path(folder) / "log"
        served = _timed("write both", lambda: _write(exposures, log, n_lists, n_events, pseudonyms, rng))
        now_s = _BEGIN_S + SECONDS_PER_DAY
        follower = Follower(exposures, log, pseudonyms)
        tally = partial(follower.tally, _BEGIN_S, now_s)
        _timed("follower, first tally", tally)
        more = served.head(500).with_columns(request_id=pl.col("request_id") + "x")
        write_exposures(exposures, "w", n_lists, more)
        _timed("follower, one more file", tally)
        del follower, tally
        reactions = _timed("read events", lambda: read_reactions(log, pseudonyms, on_damage=lambda _: None))
        records = _timed("join", lambda: read_records(exposures, reactions))
        facts = _timed("facts of lists", lambda: list_facts(records))
        _timed("units", lambda: units_of(facts, start_s=_BEGIN_S))


def _timed(step: str, work: Callable[[], Value]) -> Value:
    began_s, began_cpu_s = monotonic_clock(), process_time()
    result = work()
    took = {"s": round(monotonic_clock() - began_s, 2), "cpu_s": round(process_time() - began_cpu_s, 2)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1_024)
    sys.stdout.write(json.dumps({"step": step, **took, "peak_gb": round(peak / 1e9, 2)}) + "\n")
    sys.stdout.flush()
    return result


def _write(
    exposures: Path, log: Path, n_lists: int, n_events: int, pseudonyms: Pseudonyms, rng: np.random.Generator
) -> pl.DataFrame:
    """Write lists over a day and events upon them; return the last lists."""
    users = rng.integers(0, max(1, n_lists // _LISTS_PER_USER), n_lists)
    items = (rng.integers(0, _CATALOGUE, (n_lists, 1)) + np.arange(_N_ITEMS) * 7) % _CATALOGUE
    times_s = _BEGIN_S + np.sort(rng.random(n_lists)) * 0.9 * SECONDS_PER_DAY
    frame = pl.DataFrame()
    for begin in range(0, n_lists, _LISTS_PER_FILE):
        rows = slice(begin, begin + _LISTS_PER_FILE)
        frame = _frame(begin, users[rows], items[rows], times_s[rows], pseudonyms)
        write_exposures(exposures, "w", begin, frame)
    events = _events(n_events, users, items, times_s, rng)
    with EventLogWriter(log, "w") as writer:
        for _ in range(0, n_events, _EVENTS_PER_APPEND):
            writer.append_durably(
                [event for event, _ in zip(events, range(_EVENTS_PER_APPEND), strict=False)]
            )
    return frame


def _frame(
    begin: int,
    users: NDArray[np.int64],
    items: NDArray[np.int64],
    times_s: NDArray[np.float64],
    pseudonyms: Pseudonyms,
) -> pl.DataFrame:
    n = len(users)
    return pl.DataFrame(
        {
            "request_id": [_request_id(row) for row in range(begin, begin + n)],
            "served_at_s": times_s,
            "user_pseudonym": [pseudonyms.of(f"u{user}") for user in users.tolist()],
            "arm": np.where(users % 2, "canary", "stable"),
            "bundle": ["0123456789abcdef"] * n,
            "call": ["recommend"] * n,
            "context": [None] * n,
            "n_shown_before": np.zeros(n, dtype=np.int32),
            "override": np.zeros(n, dtype=np.bool_),
            "cached": np.zeros(n, dtype=np.bool_),
            "degraded": [[]] * n,
            "item_ids": [[f"i{item:06d}" for item in each] for each in items.tolist()],
            "scores": [[1.0] * _N_ITEMS] * n,
            "sources": [["svd"] * _N_ITEMS] * n,
            "propensities": [[1.0] * _N_ITEMS] * n,
            "session_pseudonym": [None] * n,
            "experiments": [["tint=on"]] * n,
            "teams": [[]] * n,
            "explored_rank": [None] * n,
            "choices": [[]] * n,
            "chances": [[]] * n,
        },
        schema=SCHEMA,
    )


def _events(
    n: int,
    users: NDArray[np.int64],
    items: NDArray[np.int64],
    times_s: NDArray[np.float64],
    rng: np.random.Generator,
) -> Iterator[Event]:
    lists = np.sort(rng.integers(0, len(users), n))
    chance = rng.random((n, 3))
    for row, (of_list, (place, kind, named)) in enumerate(zip(lists.tolist(), chance.tolist(), strict=True)):
        yield Event(
            event_id=f"{row:012x}",
            user_id=f"u{users[of_list]}",
            kind=_KINDS[int(kind * len(_KINDS))],
            time_s=float(times_s[of_list]) + 30.0,
            item_id=f"i{items[of_list, int(place * _N_ITEMS)]:06d}",
            value=0.5,
            request_id=_request_id(of_list) if named < _NAMED else None,
        )


def _request_id(row: int) -> str:
    return f"{row * 0x9E3779B97F4A7C15 % 2**128:032x}"


if __name__ == "__main__":
    main(*(int(number) for number in sys.argv[1:]))
