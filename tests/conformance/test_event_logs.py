"""What every event log must do; Kafka is a real broker, started here."""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from recsys.core.errors import FieldError, UnavailableError
from recsys.data.events import Event, EventKind
from recsys.eventlog.entry import Entry, Erasure
from recsys.eventlog.log import EventLog
from recsys.eventlog.reader import read_entries
from recsys.streams.address import KafkaAddress
from recsys.streams.open import open_event_log


class Place(ABC):
    """Where a log is, and a way to see all that is in it."""

    def open(self, writer_id: str = "w") -> EventLog:
        return open_event_log(self.address, writer_id)

    @property
    @abstractmethod
    def address(self) -> Path | str: ...

    @abstractmethod
    def entries(self) -> list[Entry]: ...

    def by_user(self) -> dict[str, list[Entry]]:
        found = defaultdict(list)
        for entry in self.entries():
            found[entry.user_id].append(entry)
        return dict(found)


class Folder(Place):
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def address(self) -> Path:
        return self._folder

    def entries(self) -> list[Entry]:
        return list(read_entries(self._folder, on_damage=lambda damage: pytest.fail(str(damage))))


class Topic(Place):
    def __init__(self, address: str) -> None:
        from recsys.streams.kafka_topics import make_topics
        from recsys.streams.topics import TopicSettings

        self._address = address
        make_topics(KafkaAddress.of(address), TopicSettings(partitions=3))

    @property
    def address(self) -> str:
        return self._address

    def entries(self) -> list[Entry]:
        from recsys.streams.kafka_source import KafkaSource, KafkaSourceConfig
        from recsys.streams.message import Judgement, read_message

        found: list[Entry] = []
        config = KafkaSourceConfig(group=f"look-{uuid4().hex}")
        source = KafkaSource(KafkaAddress.of(self._address), lambda *_: 0, config=config)
        with_nothing = 0
        while not (with_nothing and source.is_at_end()):
            chunks = source.read(10_000, 0.3)
            with_nothing = 0 if chunks else with_nothing + 1
            assert with_nothing < 100
            for chunk in chunks:
                found += [read_message(m, now_s=1e12, judgement=Judgement()) for m in chunk.messages]
        source.close()
        return found


@pytest.fixture(params=["files", pytest.param("kafka", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "files":
        yield Folder(tmp_path / "log")
    else:
        yield Topic(request.getfixturevalue("kafka_address"))


def event(event_id: str, user_id: str = "ada") -> Event:
    return Event(event_id=event_id, user_id=user_id, kind=EventKind.WATCH, time_s=1.0, item_id="film")


def test_what_was_appended_is_there_in_the_order_of_each_user(place: Place) -> None:
    erasure = Erasure(user_id="ada", at_s=9.0)
    with place.open() as log:
        log.append_durably([event("1"), event("b", "bob"), event("2")])
        log.append_durably([erasure], timeout_s=30.0)
        log.append_durably([event("3")])
        log.append_durably([])
    assert place.by_user() == {
        "ada": [event("1"), event("2"), erasure, event("3")],
        "bob": [event("b", "bob")],
    }


def test_what_is_acknowledged_is_there_while_the_log_is_open(place: Place) -> None:
    with place.open() as log:
        log.append([event("1")]).result(30.0)
        assert place.entries() == [event("1")]


def test_threads_and_event_loops_share_a_log_and_lose_nothing(place: Place) -> None:
    def work(log: EventLog, user_id: str) -> None:
        for n in range(25):
            log.append_durably([event(f"{n}", user_id)])

    async def work_soon(log: EventLog) -> None:
        await asyncio.gather(*(log.append_soon([event(f"{n}", f"u{n}")]) for n in range(100)))

    with place.open() as log:
        threads = [threading.Thread(target=work, args=(log, f"t{t}")) for t in range(4)]
        for thread in threads:
            thread.start()
        asyncio.run(work_soon(log))
        for thread in threads:
            thread.join()
    found = place.by_user()
    assert len(found) == 104
    for t in range(4):
        assert found[f"t{t}"] == [event(f"{n}", f"t{t}") for n in range(25)]


def test_two_writers_share_a_place(place: Place) -> None:
    with place.open("one") as one, place.open("other") as other:
        one.append_durably([event("1")])
        other.append_durably([event("2", "bob")])
    assert place.by_user() == {"ada": [event("1")], "bob": [event("2", "bob")]}


def test_an_entry_that_cannot_be_written_down_takes_its_append_with_it(place: Place) -> None:
    with place.open() as log:
        with pytest.raises(FieldError):
            log.append([event("1"), event("x" * (1 << 20))])
        log.append_durably([event("2")])
    assert place.entries() == [event("2")]


def test_closing_brings_what_waits_to_safety_and_nothing_comes_after(place: Place) -> None:
    log = place.open()
    futures = [log.append([event(f"{n}")]) for n in range(100)]
    log.close()
    for future in futures:
        future.result(0.0)
    with pytest.raises(UnavailableError, match="closed"):
        log.append([event("late")])
    assert place.entries() == [event(f"{n}") for n in range(100)]


def test_an_event_loop_that_stops_waiting_harms_nobody(place: Place) -> None:
    async def impatient(log: EventLog) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(log.append_soon([event("1")]), 0.0)
        await log.append_soon([event("2")])

    with place.open() as log:
        asyncio.run(impatient(log))
    assert event("2") in place.entries()
