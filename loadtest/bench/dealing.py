"""What arms, experiments and overrides cost: one graph, asked the same under several documents by turns."""

import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from loadtest.bench import servers
from loadtest.bench.asked import requests_for
from loadtest.bench.rows import Turn, row_of, turn
from loadtest.engine.run import drive_closed
from loadtest.swap.twins import twin_of
from recsys.core.clock import Clock, monotonic_clock
from recsys.core.errors import UnavailableError
from recsys.registry.local import LocalRegistry
from recsys.rollout.names import CANARY, STABLE
from recsys.rollout.traffic import (
    Arm,
    Experiment,
    ExperimentArm,
    Knobs,
    Shadow,
    TrafficDocument,
)
from recsys.rollout.traffic_file import FileTrafficStore

_CONNECTIONS = 64
_WARM_UP_S = 6.0
_LOOKS = 3_000
_LOOK_EVERY_S = 0.02
_N_ALLOWED = 1_000  # users on the allow-list

Change = dict[str, Any]


def measure(
    registry: Path,
    home: Path,
    *,
    seconds: float,
    n_turns: int,
    clock: Clock,
    on_step: Callable[[str], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Return answers per second under each document, and their ratio to those under the plain one.

    Args:
        registry: with the benchmark's bundle; a twin of it is added.
        home: an empty folder.
        seconds: per document and turn.
        n_turns: how often each document has its turn.
        clock: Unix time.
        on_step: is told what comes next.
    """
    opened = LocalRegistry(registry)
    twin = twin_of(opened.get("stable"), opened, 1, now_s=0.0)
    asked = requests_for()
    turns, followed_s = defaultdict[str, list[Turn]](list), defaultdict[str, list[float]](list)
    on_step("starting a server")
    with servers.serve(registry, home) as server:
        store = FileTrafficStore(home / "traffic.json")
        drive_closed(server.url, asked, connections=_CONNECTIONS, duration_s=_WARM_UP_S)
        for _ in range(n_turns):
            for name, change in documents(store.read(), twin, clock()).items():
                on_step(name)
                now = store.read()
                new = now.successor(updated_s=clock(), updated_by="bench", **change)
                store.swap(new, expected_version=now.version)
                followed_s[name].append(_followed_after_s(server.url, new))
                drive_closed(server.url, asked, connections=_CONNECTIONS, duration_s=seconds / 4)
                drive = partial(drive_closed, requests=asked, connections=_CONNECTIONS, duration_s=seconds)
                turns[name].append(turn(server, drive))
    rows = [row_of("graph", name, own) for name, own in turns.items()]
    plain = rows[0]["per_s"]
    return [
        {
            "document": row["load"],
            "per_s": row["per_s"],
            "ratio": round(row["per_s"] / plain, 3),
            "p99_ms": row["p99_ms"],
            "server_ms": row["server_ms"],
            "failed": row["failed"],
            "in_force_after_s": round(max(followed_s[row["load"]]), 2),
        }
        for row in rows
    ]


def documents(now: TrafficDocument, twin: str, now_s: float) -> dict[str, Change]:
    """Return name -> what the document says; all load the same two bundles, so that only dealing differs."""
    lanes = {lane: bundle or twin for lane, bundle in now.lanes.items()}
    blue, green = lanes

    def arms(canary: float) -> tuple[Arm, ...]:
        return (Arm(arm=STABLE, lane=blue, share=1 - canary), Arm(arm=CANARY, lane=green, share=canary))

    alone = (Arm(arm=STABLE, lane=blue, share=1.0),)
    plain: Change = {"lanes": lanes, "arms": alone, "experiments": (), "overrides": {}, "shadow": None}
    halves = (
        ExperimentArm(arm="control", share=0.5),
        ExperimentArm(arm="other", share=0.5, knobs=Knobs()),
    )
    two = tuple(Experiment(name=name, salt=name, arms=halves, started_s=now_s) for name in ("one", "two"))
    allowed = {f"tester-{row}": STABLE for row in range(_N_ALLOWED)}
    return {
        "everybody in one arm": plain,
        "dealt to an arm of 100 %": {**plain, "arms": arms(0.0)},
        "the same, two experiments, 1,000 users on the allow-list": {
            **plain,
            "arms": arms(0.0),
            "experiments": two,
            "overrides": allowed,
        },
        "canary 1 %": {**plain, "arms": arms(0.01), "experiments": two, "overrides": allowed},
        "canary 50 %": {**plain, "arms": arms(0.5), "experiments": two, "overrides": allowed},
        "shadow of 10 %": {**plain, "arms": arms(0.0), "shadow": Shadow(lane=green, share=0.1)},
    }


def _followed_after_s(url: str, document: TrafficDocument) -> float:
    """Wait until twenty looks in a row meet routers that have taken a document over; return when they began.

    A new bundle has to be loaded first, so the first document takes longer.
    """
    begun_s = monotonic_clock()
    in_a_row, since_s = 0, begun_s
    with httpx.Client(base_url=url, timeout=60.0) as client:
        for _ in range(_LOOKS):
            found = client.get("/traffic").json()["in_force"]["version"]
            in_a_row = in_a_row + 1 if found == document.version else 0
            since_s = since_s if in_a_row else monotonic_clock()
            if in_a_row == 20:
                return since_s - begun_s
            time.sleep(_LOOK_EVERY_S)
    raise UnavailableError("traffic document", f"version {document.version} did not come into force")
