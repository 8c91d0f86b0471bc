"""From an address to what ingest reads, and where goes what it cannot use."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys.core.errors import FieldError
from recsys.streams.address import SCHEME, KafkaAddress
from recsys.streams.dead_letters import DeadLetterFile, DeadLetters
from recsys.streams.file_source import FileSource
from recsys.streams.source import Content, Source
from recsys.streams.tables import Table, Tables
from recsys.streams.topics import TopicSettings


@dataclass(frozen=True, slots=True)
class Reading:
    """A source and its dead letters."""

    source: Source
    letters: DeadLetters


def open_reading(
    place: str,
    tables: Tables,
    *,
    group: str,
    member: str | None,
    topics: TopicSettings,
    letters: Path,
    is_ending: Callable[[], bool],
) -> Reading:
    """Open what is to be read, behind what the tables have of it.

    Args:
        place: ``kafka://HOST:PORT/PREFIX``, whose topics are made when they are missing, or the folder of an
            event log.
        tables: know how far each source was read.
        group: of consumers, in Kafka.
        member: of that group; see :class:`recsys.streams.kafka_source.KafkaSourceConfig`.
        topics: how missing topics are made.
        letters: file for what cannot be used, where there is no Kafka.
        is_ending: ends waiting.

    Raises:
        FieldError: the address is none, or confluent-kafka is not installed.
        UnavailableError: no broker answers.
    """

    def taken(content: Content, source: str) -> int:
        table: Table[Any] = getattr(tables, content.value)
        return table.taken(source)

    if not place.startswith(SCHEME):
        return Reading(FileSource(Path(place), taken, is_ending=is_ending), DeadLetterFile(letters))
    address = KafkaAddress.of(place)
    try:
        from recsys.streams.kafka_dead_letters import KafkaDeadLetters  # noqa: PLC0415 - an extra
        from recsys.streams.kafka_source import KafkaSource, KafkaSourceConfig  # noqa: PLC0415
        from recsys.streams.kafka_topics import make_topics  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise FieldError("from", place, "confluent-kafka: pip install 'marquee-recsys[kafka]'") from error
    make_topics(address, topics)
    config = KafkaSourceConfig(group=group, member=member)
    return Reading(KafkaSource(address, taken, config=config, is_ending=is_ending), KafkaDeadLetters(address))
