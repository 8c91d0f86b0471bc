"""Taking a person's messages out of topics: a tombstone for each, and a search for what is still there.

A broker removes what a tombstone stands for when it compacts the topic, within twice the hours of
:class:`recsys.streams.topics.TopicSettings`; until then whoever reads from the beginning finds it.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from recsys.core.clock import monotonic_clock
from recsys.core.errors import UnavailableError
from recsys.streams.address import KafkaAddress
from recsys.streams.connection import connection
from recsys.streams.producer import producer_settings
from recsys.streams.topics import PART

_ANSWER_S: Final = 10.0
_SLICE_S: Final = 0.2
_AT_ONCE: Final = 10_000
_LEAST_BYTES: Final = 8
"""A shorter name stands by chance in any bytes: of one, only what is marked as a user's counts."""

_Told = tuple[str, float]  # a name, and the Unix time of what is told of it


def forget(
    address: KafkaAddress, inside: Mapping[str, float], shown: Mapping[str, float]
) -> Mapping[str, int]:
    """Send a tombstone for every message that tells of one of these people.

    Args:
        address: brokers and topics; topics that are not there tell of nobody.
        inside: user id -> Unix time up to which events and erasures go.
        shown: pseudonym -> Unix time up to which exposures go.

    Returns:
        how many messages were found, by what they are. In a topic that was made without compaction they stay
        until its retention is over, see :func:`messages_naming`.

    Raises:
        UnavailableError: no broker answers, or not every tombstone was acknowledged; do it again.
    """
    counts = {}
    for topic in _topics(address, inside, shown):
        found = list(topic.telling())
        if found and topic.is_compacted():
            _bury(address, found)
        counts[topic.holds] = len(found)
    return counts


def messages_naming(address: KafkaAddress, inside: Sequence[str], shown: Sequence[str]) -> Mapping[str, int]:
    """Return topic, and until when -> how many messages tell of these people; topics without are left out.

    Raises:
        UnavailableError: no broker answers.
    """
    ever = dict.fromkeys(inside, math.inf), dict.fromkeys(shown, math.inf)
    counts = {}
    for topic in _topics(address, *ever):
        if n := sum(1 for _ in topic.telling()):
            until = "its next compaction" if topic.is_compacted() else "the end of its retention"
            counts[f"topic {topic.name} until {until}"] = n
    return counts


def erasures_in(address: KafkaAddress) -> Mapping[str, float]:
    """Return user id -> Unix time, for the erasures in the topic of events that no tombstone follows.

    Raises:
        UnavailableError: no broker answers.
    """
    told: dict[tuple[int, bytes | None], _Told] = {}
    for one in _Topic(address, address.events, "events", {}, _of_entry).messages():
        place, value = (int(one.partition() or 0), one.key()), one.value()
        if value is None:
            told.pop(place, None)
        elif value.startswith(b'{"erasure"') and (erasure := _of_entry(value)) is not None:
            told[place] = erasure
    latest: dict[str, float] = {}
    for user_id, at_s in told.values():
        latest[user_id] = max(at_s, latest.get(user_id, at_s))
    return latest


@dataclass(frozen=True, slots=True)
class _Topic:
    """A topic in which people are looked for."""

    address: KafkaAddress
    name: str
    holds: str
    people: Mapping[str, float]  # name -> Unix time up to which
    read: Callable[[bytes], _Told | None]  # whom a value tells of; None: that cannot be told

    def telling(self) -> Iterator[KafkaMessage]:
        """Yield the messages that tell of the people."""
        needles = [_needle(name) for name in self.people]
        for one in self.messages():
            value = one.value()
            if value is None:
                continue
            told = self.read(value)
            if told is not None:
                name, time_s = told
                if time_s <= self.people.get(name, -math.inf):
                    yield one
                continue
            held = [value, *(of for _, of in one.headers() or () if isinstance(of, bytes))]
            if any(needle in part for needle in needles for part in held):
                yield one

    def messages(self) -> Iterator[KafkaMessage]:
        """Yield what stands in the topic now, tombstones too, of each partition in order.

        Raises:
            UnavailableError: no broker answers.
        """
        settings = {
            **connection(self.address),
            "group.id": "marquee-leaving",  # has to be there; nobody joins it
            "enable.auto.commit": "false",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": "true",
        }
        consumer = Consumer(settings)
        try:
            yield from self._all_of(consumer)
        except KafkaException as error:
            raise UnavailableError(PART, f"topic {self.name}: {error}") from error
        finally:
            consumer.close()

    def is_compacted(self) -> bool:
        """Ask the broker whether tombstones have an effect here.

        Raises:
            UnavailableError: no broker answers.
        """
        asked = ConfigResource(ResourceType.TOPIC, self.name)
        client = AdminClient(connection(self.address))  # held: without it nobody hears the answer
        try:
            told = client.describe_configs([asked], request_timeout=_ANSWER_S)[asked].result(_ANSWER_S)
        except (KafkaException, TimeoutError) as error:
            raise UnavailableError(PART, f"topic {self.name}: {error}") from error
        return "compact" in str(told["cleanup.policy"].value)

    def _all_of(self, consumer: Consumer) -> Iterator[KafkaMessage]:
        topic = consumer.list_topics(self.name, _ANSWER_S).topics[self.name]
        if topic.error is not None:
            if topic.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return
            raise UnavailableError(PART, f"topic {self.name}: {topic.error}")
        reading = set(topic.partitions)
        consumer.assign([TopicPartition(self.name, one, OFFSET_BEGINNING) for one in reading])
        give_up_s = monotonic_clock() + _ANSWER_S
        while reading:
            came = consumer.consume(_AT_ONCE, _SLICE_S)
            if came:
                give_up_s = monotonic_clock() + _ANSWER_S
            elif monotonic_clock() > give_up_s:
                raise UnavailableError(PART, f"topic {self.name}: nothing came for {_ANSWER_S:g} s")
            for one in came:
                error = one.error()
                if error is None:
                    yield one
                elif error.code() == KafkaError._PARTITION_EOF:
                    reading.discard(int(one.partition() or 0))


def _topics(address: KafkaAddress, inside: Mapping[str, float], shown: Mapping[str, float]) -> list[_Topic]:
    return [
        _Topic(address, address.events, "events", inside, _of_entry),
        _Topic(address, address.exposures, "exposures", shown, _of_exposure),
        _Topic(address, address.dead_letters, "dead letters", {**inside, **shown}, lambda _: None),
    ]


def _bury(address: KafkaAddress, found: Sequence[KafkaMessage]) -> None:
    """Send a tombstone under the key of each message, and wait until all are acknowledged."""
    troubles: list[str] = []

    def delivered(error: KafkaError | None, message: KafkaMessage) -> None:
        del message
        if error is not None:
            troubles.append(error.str())

    producer = Producer(producer_settings(address, "leaving", patience_s=_ANSWER_S, linger_s=0.01))
    for one in found:
        topic, key, place = str(one.topic()), one.key(), int(one.partition() or 0)
        while True:
            try:
                producer.produce(topic, None, key, place, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(_SLICE_S)
            except KafkaException as error:
                raise UnavailableError(PART, f"topic {topic}: {error}") from error
    producer.flush()  # every message is answered within the patience
    if troubles:
        raise UnavailableError(PART, f"{len(troubles)} tombstones were not acknowledged: {troubles[0]}")


def _of_entry(value: bytes) -> _Told | None:
    match _fields(value):
        case {"event": {"user_id": str(name), "time_s": int() | float() as time_s}}:
            return name, float(time_s)
        case {"erasure": {"user_id": str(name), "at_s": int() | float() as time_s}}:
            return name, float(time_s)
    return None


def _of_exposure(value: bytes) -> _Told | None:
    match _fields(value):
        case {"user_pseudonym": str(name), "served_at_s": int() | float() as time_s}:
            return name, float(time_s)
        case {"user_pseudonym": None}:
            return "", math.inf  # nobody's
    return None


def _fields(value: bytes) -> object:
    try:
        fields: object = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    return fields


def _needle(name: str) -> bytes:
    encoded = name.encode()
    return encoded if len(encoded) >= _LEAST_BYTES else orjson.dumps({"user_id": name})[1:-1]
