"""kill -9 at any moment: every event is there once, and whoever comes next goes on from the position."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("deltalake", reason="needs the extra lake")

from recsys.lake.lake import Lake

N_EVENTS, N_KILLS, BATCH = 20_000, 8, 100
WRITER = """
import sys
from pathlib import Path
from recsys.data.events import Event, EventKind
from recsys.lake.lake import Lake

root, n_events, batch = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
lake = Lake(root)
begin = lake.events.taken("log")
print("ready", flush=True)
for first in range(begin, n_events, batch):
    events = [
        Event(event_id=f"e{n}", user_id=f"u{n % 97}", kind=EventKind.LIKE, time_s=9e4 * (n % 3), item_id="i")
        for n in range(first, first + batch)
    ]
    lake.events.append(events, source="log", upto=first + batch)
"""


@pytest.mark.slow
def test_a_writer_killed_at_random_moments_leaves_each_event_once(tmp_path: Path) -> None:
    chance = random.Random(8)
    command = [sys.executable, "-c", WRITER, str(tmp_path), str(N_EVENTS), str(BATCH)]
    positions = []
    for _ in range(N_KILLS):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            try:
                writer.wait(timeout=chance.uniform(0.0, 0.3))
            except subprocess.TimeoutExpired:
                writer.kill()
        positions.append(Lake(tmp_path).events.taken("log"))
    assert positions == sorted(positions)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    lake = Lake(tmp_path)
    found = lake.read("events")["event_id"]
    assert found.len() == N_EVENTS
    assert found.n_unique() == N_EVENTS
    assert lake.events.taken("log") == N_EVENTS
