"""The partitions of topics, shared by the processes of a group; what was taken is asked of the tables.

The group only deals partitions out. Where to go on reading stands with the data, so nothing is counted twice
and nothing is missed, whoever has a partition. The group is told too, for tools that watch it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient, OffsetSpec
from pydantic import PositiveFloat, PositiveInt

from recsys.core.clock import Clock, monotonic_clock
from recsys.core.errors import FieldError, UnavailableError
from recsys.core.settings import FrozenModel
from recsys.streams.address import KafkaAddress
from recsys.streams.connection import connection
from recsys.streams.message import SCHEMA_HEADER, Message
from recsys.streams.source import Chunk, Content, Taken
from recsys.streams.topics import PART

_SLICE_S: Final = 0.2  # how soon a call notices that it should end
_AT_ONCE_BYTES: Final = 64 << 20
_HEARTBEAT_S: Final = 0.5  # also how soon a member notices that another has come
_ANSWER_S: Final = 10.0
_Place = tuple[str, int]  # topic and partition


class KafkaSourceConfig(FrozenModel):
    """How a member of the group behaves."""

    group: str = "marquee-ingest"
    """Processes of one group share the partitions."""

    member: str | None = None
    """A name that only this process has, now and when it is started again: then it has its partitions back at
    once. Without one, others get them, or it gets them itself once it was silent for a session."""

    session_s: PositiveFloat = 45.0
    """A process that is silent for so long is taken for dead: others get its partitions."""

    ahead_kib: PositiveInt = 16_384
    """How much may be fetched ahead of what is applied."""


class KafkaSource:
    """A :class:`recsys.streams.source.Source` of the topics of events, of the catalogue and of exposures.

    Args:
        address: brokers and topics.
        taken: says where to go on.
        config: of the group.
        is_ending: when it says so, reading ends at once with what there is.
        clock: monotonic.
    """

    def __init__(
        self,
        address: KafkaAddress,
        taken: Taken,
        *,
        config: KafkaSourceConfig | None = None,
        is_ending: Callable[[], bool] = lambda: False,
        clock: Clock = monotonic_clock,
    ) -> None:
        self._contents = {
            address.events: Content.EVENTS,
            address.catalogue: Content.ITEMS,
            address.exposures: Content.EXPOSURES,
        }
        self._taken = taken
        self._is_ending = is_ending
        self._clock = clock
        config = config or KafkaSourceConfig()
        self._connection = connection(address)
        self._settings = {
            **self._connection,
            "group.id": config.group,
            **({} if config.member is None else {"group.instance.id": config.member}),
            "enable.auto.commit": "false",
            "auto.offset.reset": "earliest",  # what retention has taken is told as missing
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": f"{config.session_s * 1_000:.0f}",
            "heartbeat.interval.ms": f"{_HEARTBEAT_S * 1_000:.0f}",
            "queued.max.messages.kbytes": str(config.ahead_kib),
            "fetch.message.max.bytes": str(1 << 20),  # a longer one comes all the same, alone
            "enable.partition.eof": "true",  # the last messages may have been forgotten: none says it is last
        }
        self._next: dict[_Place, int] = {}  # of the partitions we own; -1: whatever comes first
        self._topic_ids: dict[str, str] = {}
        self._read: dict[_Place, list[Message]] = {}  # and not in a chunk yet
        self._ended: dict[_Place, int] = {}  # where the broker said that nothing more is
        self._paused = False
        self._consumer = self._subscribed()

    def read(self, n_messages: int, within_s: float) -> list[Chunk]:
        """Return the next messages, one chunk per partition; fewer when they are long."""
        self._resume()
        until_s = self._clock() + within_s
        n_left = n_messages
        while n_left > 0 and (left_s := until_s - self._clock()) > 0 and not self._is_ending():
            n_left -= self._consume(n_left, min(left_s, _SLICE_S))
            if sum(map(_size, self._read.values())) > _AT_ONCE_BYTES:
                break
        read, self._read = self._read, {}
        with self._errors():
            chunks = [self._chunk(place, messages) for place, messages in read.items()]
        ended, self._ended = self._ended, {}
        for place, end in ended.items():
            if place in self._next:
                self._next[place] = max(self._next[place], end)
        return chunks

    def owns(self, chunk: Chunk) -> bool:
        """Return whether the partition is still ours, and was all the time since it was read."""
        return self._next.get(_place_of(chunk.source)) == chunk.upto

    def wait(self, within_s: float) -> None:
        """Stay in the group without reading."""
        with self._errors():
            if not self._paused:
                self._consumer.pause(self._consumer.assignment())
                self._paused = True
        until_s = self._clock() + within_s
        while (left_s := until_s - self._clock()) > 0 and not self._is_ending():
            self._consume(1, min(left_s, _SLICE_S))

    def done(self, chunk: Chunk) -> None:
        """Tell the group how far we are: for those who watch, nobody reads by it."""
        topic, partition = _place_of(chunk.source)
        with suppress(KafkaException):
            self._consumer.commit(offsets=[TopicPartition(topic, partition, chunk.upto)], asynchronous=True)

    def lag(self) -> Mapping[str, int]:
        """Return how many messages of each of our partitions are not read yet, where the broker has said."""
        lags = {}
        for place, at in self._next.items():
            with suppress(KafkaException):
                first, end = self._consumer.get_watermark_offsets(TopicPartition(*place), cached=True)
                if end >= 0:
                    lags[self._source_of(place)] = max(0, end - max(first, at, 0))
        return lags

    def is_at_end(self) -> bool:
        """Ask the broker where all partitions end; not so while we have none, or nobody answers.

        Those of other processes too, which count once they are applied: a topic that was just made may not
        have been dealt out yet.
        """
        if not self._next:
            return False
        try:
            places = self._places()
            firsts = self._offsets(places, OffsetSpec.earliest())
            ends = self._offsets(places, OffsetSpec.latest())
            return all(max(self._at(place), firsts[place]) >= ends[place] for place in places)
        except (KafkaException, TimeoutError, UnavailableError):
            return False

    def close(self) -> None:
        """Leave the group: others get the partitions at once."""
        self._next = {}
        self._consumer.close()

    def _subscribed(self) -> Consumer:
        try:
            consumer = Consumer(self._settings)
        except KafkaException as error:  # a setting of the properties' file
            raise FieldError("kafka settings", str(error), "settings of librdkafka") from error
        consumer.subscribe(
            list(self._contents), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )
        return consumer

    def _source_of(self, place: _Place) -> str:
        """Return what a partition is known by: another topic of the same name, made later, is another."""
        topic, partition = place
        if topic not in self._topic_ids:
            admin = AdminClient(self._connection)
            described = admin.describe_topics(TopicCollection([topic]), request_timeout=_ANSWER_S)
            self._topic_ids[topic] = f"{topic}@{described[topic].result(_ANSWER_S).topic_id}"
        return f"{self._topic_ids[topic]}/{partition}"

    def _places(self) -> list[_Place]:
        """Return all partitions that there are of the topics; KafkaException while one is not there."""
        admin = AdminClient(self._connection)  # held: without it nobody hears the answers
        described = admin.describe_topics(TopicCollection(list(self._contents)), request_timeout=_ANSWER_S)
        return [
            (topic, partition.id)
            for topic, answer in described.items()
            for partition in answer.result(_ANSWER_S).partitions
        ]

    def _at(self, place: _Place) -> int:
        """Return how far a partition was read by us, or applied by whoever has it."""
        if place in self._next:
            return self._next[place]
        return self._taken(self._contents[place[0]], self._source_of(place))

    def _offsets(self, places: list[_Place], which: OffsetSpec) -> dict[_Place, int]:
        """Return offsets of partitions, as the broker has them now."""
        asked = {TopicPartition(*place): which for place in places}
        admin = AdminClient(self._connection)  # new: an old one may know leaders of before
        answers = admin.list_offsets(asked, request_timeout=_ANSWER_S)
        return {
            (one.topic, one.partition): answer.result(_ANSWER_S).offset for one, answer in answers.items()
        }

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Begin with partitions behind what was taken of them."""
        for topic in {one.topic for one in partitions}:
            self._topic_ids.pop(topic, None)
        for one in partitions:
            place = (one.topic, one.partition)
            taken = self._taken(self._contents[one.topic], self._source_of(place))
            one.offset = taken or OFFSET_BEGINNING
            self._next[place] = taken or -1
        consumer.incremental_assign(partitions)
        if self._paused:
            consumer.pause(partitions)

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Drop what was read and not applied: whoever has the partitions now reads it again."""
        for one in partitions:
            place = (one.topic, one.partition)
            self._next.pop(place, None)
            self._read.pop(place, None)
            self._ended.pop(place, None)
        with suppress(KafkaException):  # of partitions whose beginning failed there is nothing to give back
            consumer.incremental_unassign(partitions)

    def _consume(self, n_messages: int, within_s: float) -> int:
        """Keep messages for the next chunks; return how many came."""
        with self._errors():
            came = self._consumer.consume(n_messages, within_s)
        n_usable, troubles = 0, []
        for one in came:
            place, error = (str(one.topic()), int(one.partition() or 0)), one.error()
            if error is None:
                self._read.setdefault(place, []).append(_message_of(one))
                n_usable += 1
            elif error.code() == KafkaError._PARTITION_EOF:
                self._ended[place] = int(one.offset() or 0)
            else:
                troubles.append(str(error))
        if troubles and not n_usable and not self._read:
            raise UnavailableError(PART, troubles[0])
        return n_usable

    def _chunk(self, place: _Place, messages: list[Message]) -> Chunk:
        expected, first = self._next[place], messages[0].position
        n_missing = 0
        if 0 <= expected < first:  # forgotten, as it should be, or taken by retention
            earliest, _ = self._consumer.get_watermark_offsets(TopicPartition(*place), _ANSWER_S)
            n_missing = max(0, min(earliest, first) - expected)
        upto = max(messages[-1].position + 1, self._ended.pop(place, 0))
        self._next[place] = upto
        return Chunk(self._source_of(place), self._contents[place[0]], messages, upto, n_missing)

    def _resume(self) -> None:
        if self._paused:
            with self._errors():
                self._consumer.resume(self._consumer.assignment())
            self._paused = False

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """After trouble begin anew: nothing is known of partitions then."""
        try:
            yield
        except (KafkaException, RuntimeError, TimeoutError, UnavailableError) as error:
            self._next, self._read, self._ended, self._paused = {}, {}, {}, False
            self._consumer.close()
            self._consumer = self._subscribed()
            if isinstance(error, UnavailableError):
                raise
            raise UnavailableError(PART, str(error)) from error


def _place_of(source: str) -> _Place:
    topic, _, which = source.rpartition("@")
    return topic, int(which.rpartition("/")[2])


def _size(messages: list[Message]) -> int:
    return sum(len(message.value or b"") for message in messages)


def _message_of(one: KafkaMessage) -> Message:
    sent_ms = one.timestamp()[1]
    return Message(
        position=int(one.offset() or 0),
        value=one.value(),
        key=one.key(),
        schema=next((value for name, value in one.headers() or () if name == SCHEMA_HEADER), None),
        sent_s=sent_ms / 1_000 if sent_ms > 0 else None,
    )
