"""Kafka as the durable log of events: acknowledged means that all replicas in step have it."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Self

from recsys.core.errors import UnavailableError
from recsys.eventlog.entry import Entry, encode_entry
from recsys.streams.address import KafkaAddress
from recsys.streams.sender import Sender, SenderConfig
from recsys.streams.topics import PART


class KafkaEventLog:
    """A :class:`recsys.eventlog.log.EventLog` in the topic of events; a user's are in one partition.

    Args:
        address: brokers and topics, which :func:`recsys.streams.kafka_topics.make_topics` has made.
        writer_id: says in the broker's logs who wrote.
        config: patience and bounds.

    Raises:
        FieldError: the connection's settings are none.
    """

    def __init__(self, address: KafkaAddress, writer_id: str, *, config: SenderConfig | None = None) -> None:
        self._sender = Sender(address, address.events, writer_id, config=config)

    def append(self, entries: Sequence[Entry]) -> "Future[None]":
        """Hand entries over; see :meth:`recsys.eventlog.log.EventLog.append`."""
        return self._sender.send([(entry.user_id.encode(), encode_entry(entry)) for entry in entries])

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
        self._sender.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
