"""What only a real broker can show: it goes away, forgets, deals partitions anew, holds what others sent."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from recsys.core.errors import UnavailableError
from recsys.data.events import Event, EventKind
from recsys.eventlog.entry import encode_entry
from recsys.lake.lake import Lake
from recsys.overlay.change import ItemChange
from recsys.state.sqlite import SqliteUserState
from recsys.streams.address import KafkaAddress
from recsys.streams.ingest import Ingest, IngestConfig
from recsys.streams.item_change import encode_change
from recsys.streams.open import open_event_log
from recsys.streams.reading import Reading, open_reading
from recsys.streams.source import Chunk
from recsys.streams.topics import TopicSettings

if TYPE_CHECKING:
    from confluent_kafka import Message, Producer

pytestmark = pytest.mark.slow

_PARTITIONS = 2
_GIVE_UP_S = 60.0


def event(event_id: str, *, user_id: str = "ada", time_s: float = 1.0) -> Event:
    return Event(event_id=event_id, user_id=user_id, kind=EventKind.WATCH, time_s=time_s, item_id="film")


class Broker(Protocol):
    """What is done to the broker here."""

    def start(self) -> None: ...

    def kill(self) -> None: ...


class World:
    """State, lake and topics."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        self.address = address
        self.lake = Lake(folder / "lake")
        self.state = SqliteUserState(folder / "state.db")
        self._open: list[Reading] = []

    def ingest(self) -> Ingest:
        reading = open_reading(
            self.address,
            self.lake,
            group="test",
            member=None,
            topics=TopicSettings(partitions=_PARTITIONS),
            letters=self.folder / "none",
            is_ending=lambda: False,
        )
        self._open.append(reading)
        config = IngestConfig(batch_s=0.2, first_wait_s=0.1, longest_wait_s=0.2)
        return Ingest(reading.source, self.state, self.lake, reading.letters, config=config)

    def leave(self) -> None:
        """Let the oldest process end."""
        self._open.pop(0).source.close()

    def drained(self, *ingests: Ingest) -> None:
        """Let processes take turns until nothing is left."""
        until(lambda: all(ingest.is_done for ingest in ingests), lambda: [one.step() for one in ingests])

    def events(self) -> list[str]:
        return sorted(self.lake.read("events")["event_id"])

    def producer(self) -> "Producer":
        from confluent_kafka import Producer

        servers = KafkaAddress.of(self.address).servers
        return Producer({"bootstrap.servers": servers, "message.max.bytes": 2 << 20})

    def letters(self) -> "list[Message]":
        from confluent_kafka import Consumer

        settings = {"group.id": "letters", "auto.offset.reset": "earliest"}
        address = KafkaAddress.of(self.address)
        consumer = Consumer({"bootstrap.servers": address.servers, **settings})
        consumer.subscribe([address.dead_letters])
        found: list[Message] = []
        until(lambda: len(found) >= 4, lambda: found.extend(consumer.consume(10, 0.2)))
        consumer.close()
        return found

    def close(self) -> None:
        while self._open:
            self.leave()
        self.state.close()


def until(is_so: Callable[[], bool], step: Callable[[], Any]) -> None:
    end_s = time.monotonic() + _GIVE_UP_S
    step()
    while not is_so():
        assert time.monotonic() < end_s
        step()


@pytest.fixture
def world(tmp_path: Path, kafka_address: str) -> Iterator[World]:
    one = World(tmp_path, kafka_address)
    yield one
    one.close()


def test_events_and_items_land_and_a_new_process_goes_on_behind_them(world: World) -> None:
    ingest = world.ingest()
    with open_event_log(world.address, "w") as log:
        log.append_durably([event(f"{n}", user_id=f"u{n}") for n in range(20)])
        producer = world.producer()
        change = ItemChange(item_id="film", title="Film")
        producer.produce(KafkaAddress.of(world.address).catalogue, encode_change(change), "film")
        producer.flush()
        world.drained(ingest)
        assert (ingest.figures.n_landed, ingest.figures.fates["item"]) == (21, 1)
        world.leave()
        log.append_durably([event("20"), event("0", user_id="u0")])
    ingest = world.ingest()
    world.drained(ingest)
    assert ingest.figures.fates == {"accepted": 1, "duplicate": 1}
    assert world.events() == sorted(f"{n}" for n in range(21))
    assert world.lake.read("items")["title"].to_list() == ["Film"]
    assert ingest.figures.n_missing == 0


def test_what_cannot_be_used_is_in_the_dead_letters_as_it_came(world: World) -> None:
    ingest = world.ingest()
    topic = KafkaAddress.of(world.address).events
    producer = world.producer()
    ahead = encode_entry(event("1", time_s=time.time() + 1_000.0))
    long = json.dumps({"event": {"event_id": "x" * (1 << 20)}}).encode()
    sent = {b"{": "malformed", ahead: "future", long: "oversized", b"{}": "unknown-schema"}
    offsets: dict[bytes | None, int | None] = {}
    for value, reason in sent.items():
        producer.produce(
            topic,
            value,
            "ada",
            headers=[("schema", b"9" if reason == "unknown-schema" else b"1")],
            partition=0,
            on_delivery=lambda _, message: offsets.update({message.value(): message.offset()}),
        )
    producer.produce(topic, encode_entry(event("good")), "ada", partition=0)
    assert producer.flush(30.0) == 0
    world.drained(ingest)
    assert world.events() == ["good"]
    assert ingest.figures.poison == dict.fromkeys(sent.values(), 1)
    for letter in world.letters():
        headers = {name: (value or b"").decode() for name, value in letter.headers() or ()}
        value = letter.value() or b""
        assert headers["reason"] == sent[value]
        assert headers["topic"] == topic
        assert (headers["partition"], int(headers["offset"])) == ("0", offsets[value])
        assert headers["key"] == "ada"


def test_partitions_move_between_processes_and_everything_lands_once(world: World) -> None:
    with open_event_log(world.address, "w") as log:
        one, other = world.ingest(), None
        for n in range(7):
            log.append_durably([event(f"{n}-{who}", user_id=f"u{who}") for who in range(20)])
            if n == 2:
                other = world.ingest()
            one.step()
            if other is not None:
                other.step()
            if n == 4 and other is not None:
                world.leave()
                one = other
        world.drained(one)
    assert world.events() == sorted(f"{n}-{who}" for n in range(7) for who in range(20))


def test_a_partition_of_a_process_that_stalls_is_somebody_elses_and_lands_once(world: World) -> None:
    stalled, taken = world.ingest(), list[Chunk]()
    with open_event_log(world.address, "w") as log:
        log.append_durably([event(f"{n}", user_id=f"u{n}") for n in range(20)])
    source = world._open[0].source
    until(lambda: bool(taken), lambda: taken.extend(source.read(100, 0.3)))
    source.close()  # what it has read is not applied yet
    assert not any(source.owns(chunk) for chunk in taken)
    heir = world.ingest()
    world.drained(heir)
    assert stalled.figures.n_messages == 0
    assert world.events() == sorted(f"{n}" for n in range(20))


def test_an_emptied_topic_that_was_made_anew_is_read_from_its_beginning(world: World) -> None:
    from confluent_kafka.admin import AdminClient

    address = KafkaAddress.of(world.address)
    ingest = world.ingest()
    with open_event_log(world.address, "w") as log:
        log.append_durably([event(f"{n}", user_id=f"u{n}") for n in range(20)])
    world.drained(ingest)
    world.leave()
    client = AdminClient({"bootstrap.servers": address.servers})
    client.delete_topics([address.events])[address.events].result(30.0)
    again: list[Ingest] = []

    def reopened() -> None:
        try:  # the deletion takes effect a little later
            again.append(world.ingest())
        except UnavailableError:
            time.sleep(0.2)

    until(lambda: bool(again), reopened)
    with open_event_log(world.address, "w") as log:
        log.append_durably([event("new")])
    world.drained(*again)
    assert len(world.events()) == 21
    assert again[0].figures.n_missing == 0


def test_a_broker_that_goes_away_loses_nothing_acknowledged_and_is_taken_up_again(
    world: World, kafka: Broker
) -> None:
    from recsys.streams.event_log import KafkaEventLog
    from recsys.streams.sender import SenderConfig

    config = SenderConfig(patience_s=3.0, max_waiting_bytes=1_000)
    ingest = world.ingest()
    with KafkaEventLog(KafkaAddress.of(world.address), "w", config=config) as log:
        log.append_durably([event("before")])
        world.drained(ingest)
        kafka.kill()
        try:
            waiting = log.append([event("away")])
            with pytest.raises(UnavailableError, match="waiting for the broker"):
                log.append([event("x" * 1_000)])
            with pytest.raises(UnavailableError, match="timed out"):
                waiting.result(_GIVE_UP_S)
            assert ingest.step() == 0
        finally:
            kafka.start()
        acknowledged: list[str] = ["before"]

        def send() -> None:
            event_id = f"after-{len(acknowledged)}"
            try:
                log.append_durably([event(event_id)])
                acknowledged.append(event_id)
            except UnavailableError:
                time.sleep(0.1)

        until(lambda: len(acknowledged) >= 5, send)
    world.drained(ingest)
    assert set(acknowledged) <= set(world.events())


def test_what_retention_took_before_it_was_read_is_counted(world: World) -> None:
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    address = KafkaAddress.of(world.address)
    producer = world.producer()
    ingest = world.ingest()

    def send(*event_ids: str) -> None:
        for event_id in event_ids:
            producer.produce(address.events, encode_entry(event(event_id)), "ada", partition=0)
        producer.flush()

    send("0")
    world.drained(ingest)
    world.leave()
    send("1", "2", "3")
    cut = TopicPartition(address.events, 0, 3)
    client = AdminClient({"bootstrap.servers": address.servers})
    client.delete_records([cut])[cut].result(30.0)
    ingest = world.ingest()
    world.drained(ingest)
    assert world.events() == ["0", "3"]
    assert ingest.figures.n_missing == 2
