"""The graph against other ways to serve the same bundle, by turns in one run."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from loadtest.bench import servers
from loadtest.bench.asked import requests_for
from loadtest.bench.rows import Row, Turn, row_of, turn
from loadtest.bench.servers import Server
from loadtest.engine.run import drive_closed, drive_open
from loadtest.profiles.schedule import Segment, due_times

_WARM_UP_S = 6.0
_SHARE_OF_LIMIT = 0.7

Begin = Callable[[], AbstractContextManager[Server]]


def rivals(registry: Path, home: Path) -> list[Begin]:
    """Return how each server is started, the graph first."""
    return [
        lambda: servers.serve(registry, home),
        lambda: servers.monolith(registry, home),
        lambda: servers.monolith(registry, home, 2),
        lambda: servers.plain_serve(registry, home),
    ]


def measure(
    begins: Sequence[Begin],
    *,
    levels: Sequence[int],
    seconds: float,
    n_turns: int,
    on_step: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Drive every server at every number of connections; the first also at 70 % of the most it did.

    One server is up at a time and has the machine to itself (a Ray cluster that idles takes a tenth of a
    core); they take turns, so that whatever else happens on the machine meets all of them.

    Args:
        begins: start the servers.
        levels: numbers of connections, rising.
        seconds: per server, level and turn.
        n_turns: how often each server has its turn.
        on_step: is told what comes next.
    """
    asked = requests_for()
    turns: dict[tuple[str, str], list[Turn]] = defaultdict(list)
    for _ in range(n_turns):
        for number, begin in enumerate(begins):
            on_step("starting a server")
            with begin() as server:
                drive_closed(server.url, asked, connections=levels[-1], duration_s=_WARM_UP_S)
                for level in levels:
                    on_step(f"{server.name} at {level}")
                    drive = partial(drive_closed, requests=asked, connections=level, duration_s=seconds)
                    last = turn(server, drive)
                    turns[server.name, f"{level} connections"].append(last)
                if number == 0:
                    rate_per_s = round(_SHARE_OF_LIMIT * last["result"].good_per_s)
                    on_step(f"{server.name} at {rate_per_s}/s")
                    due_s = due_times([Segment(seconds, rate_per_s, rate_per_s)], seed=0)
                    calm = partial(drive_open, requests=asked, due_s=due_s, duration_s=seconds)
                    turns[server.name, "70 % of that, open loop"].append(turn(server, calm))
    return [row_of(name, load, own) for (name, load), own in turns.items()]
