"""Reading the topic of events as it grows, in no group: for those who look on, as guardrails do."""

from collections.abc import Iterator
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from recsys.core.clock import Clock, monotonic_clock
from recsys.core.errors import UnavailableError
from recsys.eventlog.entry import Entry
from recsys.streams.address import KafkaAddress
from recsys.streams.connection import connection
from recsys.streams.message import SCHEMA_HEADER, Judgement, Message, PoisonError, read_message
from recsys.streams.topics import PART

_ANSWER_S: Final = 10.0
_AT_ONCE: Final = 10_000
_SLICE_S: Final = 0.2


class TopicFollower:
    """Tells each entry of the topic once, as :class:`recsys.eventlog.follow.LogFollower` does of files.

    Messages that cannot be used are passed over: ``marquee ingest`` tells of them. After trouble it goes on
    where it was. Partitions that a topic is given later are not seen.

    Args:
        address: brokers and topics.
        since_s: Unix time by the brokers' clocks; messages that reached them earlier are passed over.
        clock: Unix time, for what says that it comes from the future.
        monotonic: for how long an answer is waited for.
    """

    def __init__(
        self, address: KafkaAddress, *, since_s: float, clock: Clock, monotonic: Clock = monotonic_clock
    ) -> None:
        self._topic = address.events
        self._since_ms = max(0, int(since_s * 1_000))
        self._clock = clock
        self._monotonic = monotonic
        self._judgement = Judgement()
        self._next: dict[int, int] = {}  # partition -> offset; empty before the first answer
        self._settings = {
            **connection(address),
            "group.id": "marquee-follower",  # has to be there; nobody joins it
            "enable.auto.commit": "false",
            "auto.offset.reset": "earliest",  # what retention has taken is gone
            "enable.partition.eof": "true",  # the last messages may have been forgotten: none says it is last
        }
        self._consumer: Consumer | None = None

    def read(self) -> Iterator[Entry]:
        """Yield the entries since the last call, each user's in the order of the topic.

        Raises:
            UnavailableError: no broker answers, or there is no such topic. Nothing was told then: trouble
                after the first entry ends the call, and the next one goes on behind it.
        """
        told = False
        try:
            for entry in self._new():
                told = True
                yield entry
        except UnavailableError:
            if not told:
                raise
        except KafkaException as error:
            if not told:
                raise UnavailableError(PART, f"topic {self._topic}: {error}") from error

    def _new(self) -> Iterator[Entry]:
        consumer = self._consumer = self._consumer or self._begun()
        ends = {place: self._end(consumer, place) for place in self._next}
        give_up_s = self._monotonic() + _ANSWER_S
        while any(self._next[place] < end for place, end in ends.items()):
            came = 0
            for one in consumer.consume(_AT_ONCE, _SLICE_S):
                if (error := one.error()) is None:
                    came += 1
                    if (entry := self._entry(one)) is not None:
                        yield entry
                elif error.code() == KafkaError._PARTITION_EOF:
                    place = int(one.partition() or 0)
                    self._next[place] = max(self._next[place], int(one.offset() or 0))
            if came:
                give_up_s = self._monotonic() + _ANSWER_S
            elif self._monotonic() > give_up_s:
                raise UnavailableError(PART, f"topic {self._topic}: nothing came for {_ANSWER_S:g} s")

    def close(self) -> None:
        """Let go of the connection."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _begun(self) -> Consumer:
        """Return a consumer that stands where reading goes on."""
        consumer = Consumer(self._settings)
        try:
            if not self._next:
                self._next = self._offsets(consumer)
            consumer.assign([TopicPartition(self._topic, *place) for place in self._next.items()])
        except BaseException:
            consumer.close()
            raise
        return consumer

    def _offsets(self, consumer: Consumer) -> dict[int, int]:
        """Return the offset of the first message since the time asked for, of each partition."""
        topic = consumer.list_topics(self._topic, _ANSWER_S).topics[self._topic]
        if topic.error is not None or not topic.partitions:
            raise UnavailableError(PART, f"topic {self._topic}: {topic.error}")
        asked = [TopicPartition(self._topic, place, self._since_ms) for place in topic.partitions]
        found = consumer.offsets_for_times(asked, _ANSWER_S)
        return {
            one.partition: one.offset if one.offset >= 0 else self._behind_all(consumer, one.partition)
            for one in found
        }

    def _behind_all(self, consumer: Consumer, place: int) -> int:
        return int(consumer.get_watermark_offsets(TopicPartition(self._topic, place), _ANSWER_S)[1])

    def _end(self, consumer: Consumer, place: int) -> int:
        """Return the offset behind the last message, having gone on to the first where ours is there no more.

        Retention takes messages, and a topic can be made anew; ``auto.offset.reset`` does the same.
        """
        first, end = consumer.get_watermark_offsets(TopicPartition(self._topic, place), _ANSWER_S)
        if not first <= self._next[place] <= end:
            self._next[place] = first
        return int(end)

    def _entry(self, came: KafkaMessage) -> Entry | None:
        """Return what a message holds; None when it cannot be used."""
        place, offset = int(came.partition() or 0), int(came.offset() or 0)
        if offset < self._next[place]:  # fetched ahead, and taken by retention before it was told
            return None
        self._next[place] = offset + 1
        schema = next((value for name, value in came.headers() or () if name == SCHEMA_HEADER), None)
        message = Message(offset, came.value(), came.key(), schema)
        try:
            return read_message(message, now_s=self._clock(), judgement=self._judgement)
        except PoisonError:
            return None
