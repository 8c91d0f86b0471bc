"""A person's messages are taken out of the topics of a real broker, and nobody else's."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
from typer.testing import CliRunner

from recsys.cli.privacy import app
from recsys.data.events import Event, EventKind
from recsys.eventlog.entry import Entry, Erasure
from recsys.eventlog.exposure import Exposure
from recsys.eventlog.reader import Damage
from recsys.lake.lake import Lake
from recsys.state.sqlite import SqliteUserState
from recsys.streams.address import KafkaAddress
from recsys.streams.ingest import Ingest, IngestConfig
from recsys.streams.keys import key_of
from recsys.streams.open import follow_entries, open_event_log
from recsys.streams.reading import open_reading
from recsys.streams.topics import TopicSettings

pytestmark = pytest.mark.slow

ADA, BOB = "ada.lovelace@example.org", "bob.bernoulli@example.org"
SHOWN = "0123456789abcdef0123456789abcdef"
_GIVE_UP_S = 60.0
_FORGET_S = 1.0
_PARTITIONS = 2


class Broker(Protocol):
    """What is looked at here."""

    folder: Path


def watch(event_id: str, user_id: str, time_s: float = 1.0) -> Event:
    return Event(event_id=event_id, user_id=user_id, kind=EventKind.WATCH, time_s=time_s, item_id="film")


def fail(damage: Damage) -> None:
    pytest.fail(str(damage))


def until(is_so: Callable[[], bool]) -> None:
    end_s = time.monotonic() + _GIVE_UP_S
    while not is_so():
        assert time.monotonic() < end_s
        time.sleep(0.2)


@pytest.fixture
def topics(kafka_address: str) -> str:
    """Topics that are compacted within seconds."""
    from recsys.streams.kafka_topics import make_topics

    make_topics(
        KafkaAddress.of(kafka_address),
        TopicSettings(partitions=_PARTITIONS, forget_hours=_FORGET_S / 3_600.0),
    )
    until(lambda: _is_led(kafka_address))
    return kafka_address


def _is_led(address: str) -> bool:
    from recsys.core.errors import UnavailableError

    try:
        return list(follow_entries(address, since_s=0.0, on_damage=fail).read()) == []
    except UnavailableError:
        return False


def publish(address: str, *exposures: Exposure) -> None:
    from recsys.streams.exposure_topic import ExposureTopic

    topic = ExposureTopic(KafkaAddress.of(address), "w", on_fate=lambda fate, n: None)
    topic.publish(exposures)
    topic.close()


def answer(request_id: str, pseudonym: str | None) -> Exposure:
    return Exposure(
        request_id, 1.0, pseudonym, "stable", "b" * 16, "recommend", None, 0, override=False, cached=False,
        degraded=[], item_ids=["a"], scores=[1.0], sources=["svd"], propensities=[1.0],
    )  # fmt: skip


def everything(address: str) -> list[Entry]:
    return list(follow_entries(address, since_s=0.0, on_damage=fail).read())


def poke(address: str) -> None:
    """Write to every partition of every topic: a broker closes a segment when the next message comes."""
    from confluent_kafka import Producer

    kafka = KafkaAddress.of(address)
    producer = Producer({"bootstrap.servers": kafka.servers})
    for topic in (kafka.events, kafka.exposures, kafka.dead_letters):
        for partition in range(_PARTITIONS):
            value = str(time.monotonic()).encode()
            producer.produce(topic, value, key_of(value), partition)
    assert producer.flush(30.0) == 0


def test_who_left_is_in_no_byte_of_the_brokers_files_after_compaction_and_the_others_are(
    topics: str, kafka: Broker
) -> None:
    from confluent_kafka import Producer

    from recsys.streams.leaving import forget, messages_naming

    address = KafkaAddress.of(topics)
    with open_event_log(topics, "w") as log:
        log.append_durably([watch(f"{n}", user_id) for n in range(3) for user_id in (ADA, BOB)])
        log.append_durably([Erasure(user_id=ADA, at_s=5.0)])
    publish(topics, answer("1", SHOWN), answer("2", "f" * 32), answer("3", None))
    producer = Producer({"bootstrap.servers": address.servers})
    producer.produce(address.dead_letters, f"{{{ADA}".encode(), b"letter")
    producer.produce(address.dead_letters, b"{", b"other", headers=[("key", ADA.encode())])
    producer.produce(address.dead_letters, b"{", b"nobody's")
    assert producer.flush(30.0) == 0

    def bytes_of(name: str) -> int:
        files = (kafka.folder / "data").glob(f"{address.prefix}.*/*.log*")
        return sum(file.read_bytes().count(name.encode()) for file in files if file.is_file())

    assert bytes_of(ADA) == 6
    assert forget(address, {ADA: 9.0}, {SHOWN: 9.0}) == {"events": 4, "exposures": 1, "dead letters": 2}
    named = messages_naming(address, [ADA], [SHOWN])
    assert {of.split()[1].rpartition(".")[2]: n for of, n in named.items()} == {
        "events": 4,
        "exposures": 1,
        "dead-letters": 2,
    }
    assert all(of.endswith("until its next compaction") for of in named)

    def is_forgotten() -> bool:
        poke(topics)
        return not bytes_of(ADA) and not bytes_of(SHOWN)

    until(is_forgotten)
    assert messages_naming(address, [ADA], [SHOWN]) == {}
    assert everything(topics) == [watch(f"{n}", BOB) for n in range(3)]
    assert bytes_of("f" * 32) == 1


def test_what_came_after_the_time_stays_and_short_names_find_their_own_alone(topics: str) -> None:
    from recsys.streams.leaving import erasures_in, forget, messages_naming

    address = KafkaAddress.of(topics)
    with open_event_log(topics, "w") as log:
        log.append_durably([watch("42", "42", 1.0), watch("1", "42", 2.0), watch("42", "7", 1.0)])
        log.append_durably([Erasure(user_id="42", at_s=1.5), Erasure(user_id="42", at_s=1.2)])
    assert erasures_in(address) == {"42": 1.5}
    assert sum(messages_naming(address, ["42"], []).values()) == 4
    assert forget(address, {"42": 1.5}, {}) == {"events": 3, "exposures": 0, "dead letters": 0}
    assert erasures_in(address) == {}  # nobody needs to ask again, compacted or not


def test_a_topic_that_was_made_without_compaction_says_how_long_it_names_them(kafka_address: str) -> None:
    from confluent_kafka.admin import AdminClient, NewTopic

    from recsys.streams.leaving import forget, messages_naming

    address = KafkaAddress.of(kafka_address)
    client = AdminClient({"bootstrap.servers": address.servers})
    client.create_topics([NewTopic(address.events, 1, 1)])[address.events].result(30.0)
    until(lambda: _is_led(kafka_address))
    with open_event_log(kafka_address, "w") as log:
        log.append_durably([watch("1", ADA)])
    assert forget(address, {ADA: 9.0}, {})["events"] == 1
    assert messages_naming(address, [ADA], []) == {
        f"topic {address.events} until the end of its retention": 1
    }
    assert everything(kafka_address) == [watch("1", ADA)]  # no tombstone was sent in vain


@pytest.fixture
def forgotten_tail(topics: str) -> str:
    """Topics of which the last messages are gone, the tombstones included."""
    from recsys.streams.leaving import forget

    with open_event_log(topics, "w") as log:
        log.append_durably([watch("1", BOB), watch("2", BOB), *(watch(f"{n}", ADA) for n in range(3))])
    forget(KafkaAddress.of(topics), {ADA: 9.0}, {})
    return topics


def test_readers_are_at_the_end_though_the_last_messages_are_gone(
    forgotten_tail: str, tmp_path: Path
) -> None:
    address = forgotten_tail
    lake = Lake(tmp_path / "lake")
    with SqliteUserState(tmp_path / "state.db") as state:
        reading = open_reading(
            address,
            lake,
            group="test",
            member=None,
            topics=TopicSettings(partitions=_PARTITIONS),
            letters=tmp_path / "none",
            is_ending=lambda: False,
        )
        ingest = Ingest(
            reading.source, state, lake, reading.letters, config=IngestConfig(batch_s=0.2, first_wait_s=0.1)
        )
        end_s = time.monotonic() + _GIVE_UP_S
        while not ingest.is_done:
            ingest.step()
            assert time.monotonic() < end_s
        reading.source.close()
    assert set(lake.read("events").filter(user_id=BOB)["event_id"]) == {"1", "2"}
    assert ingest.figures.n_missing == 0
    assert ingest.figures.poison == {}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MARQUEE_HOME", str(tmp_path))
    for variable in ("MARQUEE_PRIVACY_KEY", "MARQUEE_EXPOSURES_KEY", "MARQUEE_REGISTRY", "MARQUEE_LAKE"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def test_who_asked_to_leave_in_kafka_alone_is_removed_by_finish_and_named_by_check_until_then(
    topics: str, home: Path
) -> None:
    now_s = time.time()
    with open_event_log(topics, "w") as log:
        log.append_durably([watch("1", ADA, now_s - 90.0), watch("2", BOB, now_s - 90.0)])
        log.append_durably([Erasure(user_id=ADA, at_s=now_s - 80.0)])
    run = CliRunner()
    checked = run.invoke(app, ["check", ADA, "--event-log", topics])
    assert checked.exit_code == 1
    assert "kafka: named 2 times in topic" in checked.output
    finished = run.invoke(app, ["finish", "--event-log", topics], catch_exceptions=False)
    assert finished.output.splitlines()[0] == "1 names were left to be removed"
    assert finished.output.splitlines()[-1] == "kafka: removed 2 events, 0 exposures, 0 dead letters"
    again = run.invoke(app, ["finish", "--event-log", topics])
    assert again.output == "0 names were left to be removed\n"

    def is_nowhere() -> bool:
        poke(topics)
        return run.invoke(app, ["check", ADA, "--event-log", topics]).exit_code == 0

    until(is_nowhere)
    assert everything(topics) == [watch("2", BOB, now_s - 90.0)]
