"""Kafka as the durable log of events: acknowledged means that all replicas in step have it."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from typing import Final, Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from pydantic import PositiveFloat, PositiveInt

from recsys.core.errors import UnavailableError
from recsys.core.settings import FrozenModel
from recsys.eventlog.entry import Entry, encode_entry
from recsys.streams.address import KafkaAddress
from recsys.streams.message import SCHEMA_HEADER, SCHEMA_VERSION
from recsys.streams.producer import producer_settings
from recsys.streams.topics import PART

_POLL_S: Final = 0.1
_HEADERS: Final = [(SCHEMA_HEADER, str(SCHEMA_VERSION).encode())]


class KafkaLogConfig(FrozenModel):
    """How long is waited for a broker, and how much may wait."""

    patience_s: PositiveFloat = 10.0
    """A message that no broker has acknowledged after so long has failed."""

    linger_s: PositiveFloat = 0.002
    """How long a message waits for others to share its way."""

    max_waiting_bytes: PositiveInt = 16 << 20
    """More than this on its way to the broker, and appending fails at once instead of waiting."""


class KafkaEventLog:
    """A :class:`recsys.eventlog.log.EventLog` in the topic of events, keyed by user id.

    The producer is idempotent: what it sends again itself after a lost answer stands in the topic once.

    Args:
        address: brokers and topics, which :func:`recsys.streams.kafka_topics.make_topics` has made.
        writer_id: says in the broker's logs who wrote.
        config: patience and bounds.

    Raises:
        FieldError: the connection's settings are none.
    """

    def __init__(
        self, address: KafkaAddress, writer_id: str, *, config: KafkaLogConfig | None = None
    ) -> None:
        self._config = config or KafkaLogConfig()
        self._topic = address.events
        self._settings = producer_settings(
            address, writer_id, patience_s=self._config.patience_s, linger_s=self._config.linger_s
        )
        self._lock = threading.RLock()
        self._unsafe_bytes = 0
        self._closed = threading.Event()
        self._gave_up = threading.Event()
        self._producer = Producer(self._settings)
        self._thread = threading.Thread(target=self._run, name=f"kafka-log-{writer_id}", daemon=True)
        self._thread.start()

    def append(self, entries: Sequence[Entry]) -> "Future[None]":
        """Hand entries over; see :meth:`recsys.eventlog.log.EventLog.append`."""
        messages = [(entry.user_id.encode(), encode_entry(entry)) for entry in entries]
        one = _Append(len(messages), sum(len(payload) for _, payload in messages))
        if not messages:
            one.future.set_result(None)
            return one.future
        with self._lock:  # also keeps the messages of one append together
            if self._closed.is_set():
                raise UnavailableError(PART, "closed")
            if self._unsafe_bytes and self._unsafe_bytes + one.n_bytes > self._config.max_waiting_bytes:
                raise UnavailableError(PART, f"{self._unsafe_bytes} bytes are waiting for the broker")
            self._unsafe_bytes += one.n_bytes
            for n_sent, (key, payload) in enumerate(messages):
                try:
                    self._producer.produce(
                        self._topic, payload, key, headers=_HEADERS, on_delivery=partial(self._delivered, one)
                    )
                except (BufferError, KafkaException) as error:
                    self._answer(one, len(messages) - n_sent, str(error))
                    break
        return one.future

    def append_durably(self, entries: Sequence[Entry], *, timeout_s: float | None = None) -> None:
        """Append entries and wait; see :meth:`recsys.eventlog.log.EventLog.append_durably`."""
        try:
            self.append(entries).result(timeout_s)
        except TimeoutError as error:
            raise UnavailableError(PART, f"not acknowledged within {timeout_s:g} s") from error

    async def append_soon(self, entries: Sequence[Entry]) -> None:
        """Append entries and wait on an event loop; see :meth:`recsys.eventlog.log.EventLog.append_soon`."""
        await asyncio.wrap_future(self.append(entries))

    def close(self) -> None:
        """Wait for what is on its way, as long as patience lasts, then close."""
        with self._lock:
            self._closed.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _run(self) -> None:
        """Let answers come in until closed: the only code that waits for the broker."""
        while not self._closed.is_set():
            self._producer.poll(_POLL_S)
            if self._gave_up.is_set():
                self._begin_anew()
        self._producer.flush()  # every message is answered within the patience

    def _begin_anew(self) -> None:
        """Replace a producer that can never send again: its numbers and the broker's do not fit any more."""
        with self._lock:
            gone, self._producer = self._producer, Producer(self._settings)
            self._gave_up.clear()
        gone.purge()
        gone.flush(_POLL_S)  # answers all that was purged

    def _delivered(self, one: "_Append", error: KafkaError | None, message: Message) -> None:
        """Take the broker's answer to one message; the thread calls this."""
        del message
        if error is not None and error.fatal():
            self._gave_up.set()
        with self._lock:
            self._answer(one, 1, None if error is None else error.str())

    def _answer(self, one: "_Append", n_messages: int, trouble: str | None) -> None:
        """Count answered messages of an append; after the last, tell who waits. The lock is held."""
        one.n_unsafe -= n_messages
        one.trouble = one.trouble or trouble
        if one.n_unsafe:
            return
        self._unsafe_bytes -= one.n_bytes
        if one.trouble is None:
            one.future.set_result(None)
        else:
            one.future.set_exception(UnavailableError(PART, one.trouble))


class _Append:
    """Messages that are handed over together, and who waits for them."""

    def __init__(self, n_messages: int, n_bytes: int) -> None:
        self.n_unsafe = n_messages
        self.n_bytes = n_bytes
        self.trouble: str | None = None
        self.future: Future[None] = Future()
        self.future.set_running_or_notify_cancel()  # what is on its way cannot be called back
