"""From an address to an event log: a folder, or Kafka."""

from pathlib import Path

from recsys.core.errors import FieldError
from recsys.eventlog.log import EventLog
from recsys.eventlog.writer import EventLogWriter
from recsys.streams.address import KafkaAddress


def open_event_log(place: Path | str, writer_id: str) -> EventLog:
    """Open the log that a setting names.

    Args:
        place: a folder, or the address of a broker, ``kafka://HOST:PORT/PREFIX``.
        writer_id: says who wrote.

    Raises:
        FieldError: the address or the writer's id is none, or confluent-kafka is not installed.
        UnavailableError: the folder cannot be made. A broker may still be away: appends tell.
    """
    if isinstance(place, Path):
        return EventLogWriter(place, writer_id)
    address = KafkaAddress.of(place)
    try:
        from recsys.streams.event_log import KafkaEventLog  # noqa: PLC0415 - an extra: only who asks needs it
    except ModuleNotFoundError as error:
        expected = "confluent-kafka: pip install 'marquee-recsys[kafka]'"
        raise FieldError("event log", place, expected) from error
    return KafkaEventLog(address, writer_id)
