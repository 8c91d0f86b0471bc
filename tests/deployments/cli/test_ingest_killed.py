"""``kill -9`` of ingest at random moments while events flow.

A few kills here; ``MARQUEE_KILLS=50 MARQUEE_KILLED_EVENTS=1000000`` for the long run of docs/streams.md.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from recsys.data.events import Event, EventKind
from recsys.lake.lake import Lake
from recsys.state.sqlite import SqliteUserState
from recsys.streams.address import KafkaAddress
from recsys.streams.open import open_event_log
from recsys.streams.topics import TopicSettings

pytestmark = pytest.mark.slow

N_KILLS = int(os.environ.get("MARQUEE_KILLS", "4"))
N_EVENTS = int(os.environ.get("MARQUEE_KILLED_EVENTS", "10000"))
_PART = 500
_INGEST = (sys.executable, "-c", "from deployments.cli.ingest import app; app()")


def events(n: int, chance: random.Random) -> list[Event]:
    """Watches and, of some, retractions; times go back now and then."""
    n_users = max(10, n // 40)
    made: list[Event] = []
    for place in range(n):
        user_id = f"u{chance.randrange(n_users)}"
        time_s = 1e9 + place - chance.choice([0, 0, 0, 500])
        if place % 20 == 19:
            user_id, back = made[-1].user_id, made[-1].event_id
            kind, item_id, retracts = EventKind.RETRACTION, None, back
        else:
            kind, item_id, retracts = EventKind.WATCH, f"i{chance.randrange(5_000)}", None
        one = Event(
            event_id=f"e{place}",
            user_id=user_id,
            kind=kind,
            time_s=time_s,
            item_id=item_id,
            retracts=retracts,
        )
        made.append(one)
    return made


@contextmanager
def flowing(address: str, sent: Sequence[Event], chance: random.Random) -> Iterator[threading.Thread]:
    """Append events part by part, one part in ten twice, as a client that has heard no answer."""

    def send() -> None:
        with open_event_log(address, "flow") as log:
            for begin in range(0, len(sent), _PART):
                part = sent[begin : begin + _PART]
                for _ in range(1 + (chance.random() < 0.1)):
                    log.append_durably(part)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()


def test_the_lake_holds_each_event_once_and_the_state_is_that_of_a_replay(
    tmp_path: Path, kafka_address: str
) -> None:
    from recsys.streams.kafka_topics import make_topics

    make_topics(KafkaAddress.of(kafka_address), TopicSettings(partitions=2))
    chance = random.Random(8)
    sent = events(N_EVENTS, chance)
    url = f"sqlite:///{tmp_path / 'state.db'}"
    places = ["--from", kafka_address, "--state", url, "--lake", str(tmp_path / "lake"), "--member", "one"]
    sizes = ["--batch-size", str(max(300, N_EVENTS // 100)), "--batch-seconds", "0.2"]
    n_early = 0
    with flowing(kafka_address, sent, chance):
        for _ in range(N_KILLS):
            ingest = subprocess.Popen([*_INGEST, *places, *sizes], stderr=subprocess.DEVNULL)
            started_s, before = time.monotonic(), n_in_lake(tmp_path)
            while n_in_lake(tmp_path) == before and time.monotonic() < started_s + 30.0:
                time.sleep(0.05)
            n_early += n_in_lake(tmp_path) == before
            time.sleep(chance.uniform(0.0, 0.5))  # anywhere in one of the batches that follow
            ingest.send_signal(signal.SIGKILL)
            ingest.wait()
    done = subprocess.run(
        [*_INGEST, *places, *sizes, "--once", "--json"], stdout=subprocess.PIPE, check=True, timeout=3_000.0
    )
    figures = orjson.loads(done.stdout.splitlines()[-1])
    print(f"{N_KILLS} kills, {n_early} of them before a commit; at the end: {figures}")  # noqa: T201
    assert sum(figures["lag"].values()) == 0

    rows = Lake(tmp_path / "lake").read("events", ["user_id", "event_id"])
    assert rows.height == N_EVENTS
    assert set(rows.iter_rows()) == {(one.user_id, one.event_id) for one in sent}
    users = sorted({one.user_id for one in sent})
    with SqliteUserState(tmp_path / "state.db") as state, SqliteUserState(tmp_path / "scratch.db") as scratch:
        for begin in range(0, N_EVENTS, 5_000):
            scratch.apply(sent[begin : begin + 5_000])
        found, wanted = state.read(users), scratch.read(users)
    assert [one.version for one in found] == [one.version for one in wanted]


def n_in_lake(folder: Path) -> int:
    """Commits so far."""
    return len(list((folder / "lake" / "events" / "_delta_log").glob("*.json")))
