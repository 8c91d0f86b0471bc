"""Looking on at a topic that grows."""

import time

import pytest

from recsys.core.errors import UnavailableError
from recsys.data.events import Event, EventKind
from recsys.eventlog.entry import Entry, Erasure
from recsys.eventlog.reader import Damage
from recsys.streams.address import KafkaAddress
from recsys.streams.open import follow_entries, open_event_log
from recsys.streams.topics import TopicSettings

pytestmark = pytest.mark.slow  # a broker


def event(event_id: str, time_s: float = 1.0) -> Event:
    return Event(event_id=event_id, user_id="ada", kind=EventKind.WATCH, time_s=time_s, item_id="film")


def fail(damage: Damage) -> None:
    pytest.fail(str(damage))


@pytest.fixture
def topics(kafka_address: str) -> str:
    from recsys.streams.kafka_topics import make_topics

    make_topics(KafkaAddress.of(kafka_address), TopicSettings(partitions=2))
    for _ in range(100):  # a broker takes a moment to lead what was just made
        try:
            assert list(follow_entries(kafka_address, since_s=0.0, on_damage=fail).read()) == []
            break
        except UnavailableError:
            time.sleep(0.1)
    return kafka_address


def test_every_entry_is_told_once_in_the_order_of_its_user(topics: str) -> None:
    follower = follow_entries(topics, since_s=0.0, on_damage=fail)
    with open_event_log(topics, "w") as log:
        assert list(follower.read()) == []
        first: list[Entry] = [event("1"), event("future", 4e9), event("2"), Erasure(user_id="ada", at_s=1.5)]
        log.append_durably(first, timeout_s=30.0)
        assert list(follower.read()) == [first[0], first[2], first[3]]  # what cannot be used is passed over
        log.append_durably([event("3")], timeout_s=30.0)
        assert list(follower.read()) == [event("3")]
        assert list(follower.read()) == []


def test_what_reached_the_brokers_before_is_passed_over(topics: str) -> None:
    with open_event_log(topics, "w") as log:
        log.append_durably([event("1")], timeout_s=30.0)
        follower = follow_entries(topics, since_s=4e9, on_damage=fail)
        assert list(follower.read()) == []
        log.append_durably([event("2")], timeout_s=30.0)
        assert list(follower.read()) == [event("2")]


def test_what_retention_took_is_not_waited_for(topics: str) -> None:
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    address = KafkaAddress.of(topics)
    follower = follow_entries(topics, since_s=0.0, on_damage=fail)
    assert list(follower.read()) == []
    with open_event_log(topics, "w") as log:
        log.append_durably([event("1"), event("2")], timeout_s=30.0)
        gone = [TopicPartition(address.events, place, -1) for place in range(2)]  # -1: all of them
        admin = AdminClient({"bootstrap.servers": address.servers})
        for answer in admin.delete_records(gone).values():
            answer.result(30.0)
        assert list(follower.read()) == []
        log.append_durably([event("3")], timeout_s=30.0)
        assert list(follower.read()) == [event("3")]


def test_a_topic_that_is_not_there_is_unavailable(kafka_address: str) -> None:
    with pytest.raises(UnavailableError, match="events"):
        list(follow_entries(kafka_address, since_s=0.0, on_damage=fail).read())
