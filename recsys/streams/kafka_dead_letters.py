"""The topic of dead letters."""

from collections.abc import Callable, Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as KafkaMessage

from recsys.core.errors import UnavailableError
from recsys.streams.address import KafkaAddress
from recsys.streams.dead_letters import Letter
from recsys.streams.keys import key_of
from recsys.streams.message import SCHEMA_HEADER
from recsys.streams.producer import producer_settings
from recsys.streams.topics import MAX_LETTER_BYTES, PART

KEY_HEADER: Final = "key"
"""Of a dead letter: the key that the message came with."""

_PATIENCE_S: Final = 10.0
_MOST_BYTES: Final = MAX_LETTER_BYTES - (1 << 16)  # headers stand around it
_MOST_DETAIL: Final = 1_000


class KafkaDeadLetters:
    """:class:`recsys.streams.dead_letters.DeadLetters` in a topic: bytes as they came, all else in headers.

    A letter that is sent again (a process died in between) has the same key, and stays once.

    Args:
        address: brokers and topics.
    """

    def __init__(self, address: KafkaAddress) -> None:
        self._topic = address.dead_letters
        self._settings = producer_settings(
            address, "dead-letters", patience_s=_PATIENCE_S, linger_s=0.0, max_bytes=MAX_LETTER_BYTES
        )
        self._producer: Producer | None = None  # most of the time there is nothing to send

    def keep(self, letters: Sequence[Letter]) -> None:
        """Send letters and wait until all replicas in step have them."""
        if not letters:
            return
        self._producer = self._producer or Producer(self._settings)
        troubles: list[str] = []

        def delivered(error: KafkaError | None, message: KafkaMessage) -> None:
            del message
            if error is not None:
                troubles.append(error.str())

        try:
            for letter in letters:
                self._send(self._producer, letter, delivered)
        except (BufferError, KafkaException) as error:
            troubles.append(str(error))
        self._producer.flush()  # every message is answered within the patience
        if troubles:
            self._producer = None  # it may have given up for good
            raise UnavailableError(PART, f"topic {self._topic}: {troubles[0]}")

    def close(self) -> None:
        """Do nothing: nothing waits between letters."""
        self._producer = None

    def _send(
        self, producer: Producer, letter: Letter, delivered: Callable[[KafkaError | None, KafkaMessage], None]
    ) -> None:
        topic, _, partition = letter.source.rpartition("/")
        value = letter.message.value
        headers = {
            "reason": letter.poison.reason,
            "detail": letter.poison.detail[:_MOST_DETAIL],
            "topic": topic.partition("@")[0],
            "partition": partition,
            "offset": str(letter.message.position),
        }
        if value is not None and len(value) > _MOST_BYTES:
            headers["cut-from-bytes"] = str(len(value))
            value = value[:_MOST_BYTES]
        pairs = [(name, text.encode()) for name, text in headers.items()]
        if letter.message.schema is not None:
            pairs.append((SCHEMA_HEADER, letter.message.schema))
        if letter.message.key is not None:
            pairs.append((KEY_HEADER, letter.message.key))
        key = key_of(letter.source.encode(), str(letter.message.position).encode())
        producer.produce(self._topic, value or b"", key, headers=pairs, on_delivery=delivered)
