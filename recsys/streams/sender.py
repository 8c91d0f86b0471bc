"""Sending to a topic: bounded, answered, and never at an end of itself."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from typing import Final
from zlib import crc32

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from pydantic import PositiveFloat, PositiveInt

from recsys.core.errors import UnavailableError
from recsys.core.settings import FrozenModel
from recsys.streams.address import KafkaAddress
from recsys.streams.keys import key_of
from recsys.streams.message import SCHEMA_HEADER, SCHEMA_VERSION
from recsys.streams.producer import producer_settings
from recsys.streams.topics import PART

_POLL_S: Final = 0.1
_LOOK_S: Final = 2.0
_BY_KEY: Final = -1  # librdkafka's RD_KAFKA_PARTITION_UA: it chooses
_HEADERS: Final = [(SCHEMA_HEADER, str(SCHEMA_VERSION).encode())]


class SenderConfig(FrozenModel):
    """How long is waited for a broker, and how much may wait."""

    patience_s: PositiveFloat = 10.0
    """A message that no broker has acknowledged after so long has failed."""

    linger_s: PositiveFloat = 0.002
    """How long a message waits for others to share its way."""

    max_waiting_bytes: PositiveInt = 16 << 20
    """More than this on its way to the broker, and sending fails at once instead of waiting."""


class Sender:
    """Sends to one topic; what was acknowledged, all replicas in step have.

    Every message has a key of its own (:func:`recsys.streams.keys.key_of`), so that it can be taken out.
    Which partition it goes to is decided by whose it is; as long as no broker has said how many there are, by
    its key.

    The producer is idempotent: what it sends again itself after a lost answer stands in the topic once.

    Args:
        address: brokers.
        topic: one that :func:`recsys.streams.kafka_topics.make_topics` has made.
        sender_id: says in the broker's logs who wrote.
        config: patience and bounds.

    Raises:
        FieldError: the connection's settings are none.
    """

    def __init__(
        self, address: KafkaAddress, topic: str, sender_id: str, *, config: SenderConfig | None = None
    ) -> None:
        self._config = config or SenderConfig()
        self._topic = topic
        self._settings = producer_settings(
            address, sender_id, patience_s=self._config.patience_s, linger_s=self._config.linger_s
        )
        self._lock = threading.RLock()
        self._unsafe_bytes = 0
        self._closed = threading.Event()
        self._gave_up = threading.Event()
        self._producer = Producer(self._settings)
        self._n_partitions = self._looked()
        self._thread = threading.Thread(target=self._run, name=f"kafka-{topic}", daemon=True)
        self._thread.start()

    def send(self, messages: Sequence[tuple[bytes, bytes]]) -> "Future[None]":
        """Hand messages over, each with whose it is; what is one's keeps its order.

        Returns:
            is done once all of them are acknowledged, and fails with UnavailableError when one is not.

        Raises:
            UnavailableError: closed, or too much is on its way.
        """
        one = _Sending(len(messages), sum(len(value) for _, value in messages))
        if not messages:
            one.future.set_result(None)
            return one.future
        with self._lock:  # also keeps the messages of one call together
            if self._closed.is_set():
                raise UnavailableError(PART, "closed")
            if self._unsafe_bytes and self._unsafe_bytes + one.n_bytes > self._config.max_waiting_bytes:
                raise UnavailableError(PART, f"{self._unsafe_bytes} bytes are waiting for the broker")
            self._unsafe_bytes += one.n_bytes
            for n_sent, (whose, value) in enumerate(messages):
                try:
                    self._producer.produce(
                        self._topic,
                        value,
                        key_of(value),
                        crc32(whose) % self._n_partitions if self._n_partitions else _BY_KEY,
                        headers=_HEADERS,
                        on_delivery=partial(self._delivered, one),
                    )
                except (BufferError, KafkaException) as error:
                    self._answer(one, len(messages) - n_sent, str(error))
                    break
        return one.future

    def close(self) -> None:
        """Wait for what is on its way, as long as patience lasts, then close."""
        with self._lock:
            self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        """Let answers come in until closed: the only code that waits for the broker."""
        while not self._closed.is_set():
            self._producer.poll(_POLL_S)
            if not self._n_partitions:
                self._n_partitions = self._looked()
            if self._gave_up.is_set():
                self._begin_anew()
        self._producer.flush()  # every message is answered within the patience

    def _looked(self) -> int:
        """Return how many partitions the topic has; 0 while nobody says."""
        try:
            topic = self._producer.list_topics(self._topic, _LOOK_S).topics.get(self._topic)
        except KafkaException:
            return 0
        return 0 if topic is None or topic.error is not None else len(topic.partitions)

    def _begin_anew(self) -> None:
        """Replace a producer that can never send again: its numbers and the broker's do not fit any more."""
        with self._lock:
            gone, self._producer = self._producer, Producer(self._settings)
            self._gave_up.clear()
        gone.purge()
        gone.flush(_POLL_S)  # answers all that was purged

    def _delivered(self, one: "_Sending", error: KafkaError | None, message: Message) -> None:
        """Take the broker's answer to one message; the thread calls this."""
        del message
        if error is not None and error.fatal():
            self._gave_up.set()
        with self._lock:
            self._answer(one, 1, None if error is None else error.str())

    def _answer(self, one: "_Sending", n_messages: int, trouble: str | None) -> None:
        """Count answered messages of a call; after the last, tell who waits. The lock is held."""
        one.n_unsafe -= n_messages
        one.trouble = one.trouble or trouble
        if one.n_unsafe:
            return
        self._unsafe_bytes -= one.n_bytes
        if one.trouble is None:
            one.future.set_result(None)
        else:
            one.future.set_exception(UnavailableError(PART, one.trouble))


class _Sending:
    """Messages that are handed over together, and who waits for them."""

    def __init__(self, n_messages: int, n_bytes: int) -> None:
        self.n_unsafe = n_messages
        self.n_bytes = n_bytes
        self.trouble: str | None = None
        self.future: Future[None] = Future()
        self.future.set_running_or_notify_cancel()  # what is on its way cannot be called back
