"""From an address to an event log: a folder, or Kafka."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from recsys.core.clock import unix_clock
from recsys.core.errors import FieldError
from recsys.eventlog.exposure_writer import Fate
from recsys.eventlog.follow import EntryFollower, LogFollower
from recsys.eventlog.log import EventLog
from recsys.eventlog.reader import OnDamage
from recsys.eventlog.writer import EventLogWriter
from recsys.streams.address import KafkaAddress

if TYPE_CHECKING:
    from recsys.streams.exposure_topic import ExposureTopic

_EXTRA: Final = "confluent-kafka: pip install 'marquee-recsys[kafka]'"


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
        raise FieldError("event log", place, _EXTRA) from error
    return KafkaEventLog(address, writer_id)


def open_exposure_topic(place: str, writer_id: str, on_fate: Callable[[Fate, int], None]) -> "ExposureTopic":
    """Open the topic of exposures.

    Args:
        place: ``kafka://HOST:PORT/PREFIX``.
        writer_id: says who wrote.
        on_fate: is told what became of how many.

    Raises:
        FieldError: the address is none, or confluent-kafka is not installed.
    """
    address = KafkaAddress.of(place)
    try:
        from recsys.streams.exposure_topic import ExposureTopic  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise FieldError("exposure topic", place, _EXTRA) from error
    return ExposureTopic(address, writer_id, on_fate=on_fate)


def follow_entries(place: Path | str, *, since_s: float, on_damage: OnDamage) -> EntryFollower:
    """Return what tells the entries of a log as it grows.

    Args:
        place: a folder, or the address of a broker; see :func:`open_event_log`.
        since_s: Unix time; what was written earlier may be passed over.
        on_damage: is told which bytes of files could not be read.

    Raises:
        FieldError: the address is none, or confluent-kafka is not installed.
    """
    if isinstance(place, Path):
        return LogFollower(place, on_damage=on_damage, since_s=since_s)
    address = KafkaAddress.of(place)
    try:
        from recsys.streams.topic_follower import TopicFollower  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise FieldError("event log", place, _EXTRA) from error
    return TopicFollower(address, since_s=since_s, clock=unix_clock)
