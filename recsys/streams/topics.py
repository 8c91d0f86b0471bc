"""Our topics and how each is kept."""

from typing import Final

from pydantic import PositiveFloat, PositiveInt

from recsys.core.clock import SECONDS_PER_DAY, SECONDS_PER_HOUR
from recsys.core.settings import FrozenModel
from recsys.streams.address import KafkaAddress

PART: Final = "kafka"

MAX_MESSAGE_BYTES: Final = 2 << 20
"""What brokers take: an entry of the greatest length and what stands around it."""

MAX_LETTER_BYTES: Final = 16 << 20
"""What brokers take of dead letters, which may be what others sent to a topic of theirs."""


class TopicSettings(FrozenModel):
    """How topics are made; those that are there already stay as they are."""

    partitions: PositiveInt = 6
    """Of each topic; as many processes can share the reading. More later changes which one a user is in."""

    replicas: PositiveInt = 1
    """Brokers that hold each message; with 3, two have it before it is acknowledged."""

    retention_days: PositiveFloat = 30.0
    """How long events and exposures can be read again; dead letters as long."""

    forget_hours: PositiveFloat = 24.0
    """What a tombstone stands for is there so long at least, so that whoever is late can read what other
    programs wrote under one key, and is gone from the brokers' files within twice that and a few minutes."""


def configurations(address: KafkaAddress, settings: TopicSettings) -> dict[str, dict[str, str]]:
    """Return the settings of every topic, by name, in Kafka's words."""
    safe = {
        "min.insync.replicas": str(max(1, settings.replicas - 1)),
        "max.message.bytes": str(MAX_MESSAGE_BYTES),
    }
    forget_ms = settings.forget_hours * SECONDS_PER_HOUR * 1_000
    passing = safe | {
        "cleanup.policy": "compact,delete",  # every message has a key of its own: a tombstone takes that one
        "retention.ms": f"{settings.retention_days * SECONDS_PER_DAY * 1_000:.0f}",
        "min.compaction.lag.ms": f"{forget_ms:.0f}",
        "max.compaction.lag.ms": f"{2 * forget_ms:.0f}",
        "delete.retention.ms": f"{forget_ms:.0f}",
    }
    return {
        address.events: passing,
        address.catalogue: safe | {"cleanup.policy": "compact"},
        address.exposures: passing,
        address.dead_letters: passing | {"max.message.bytes": str(MAX_LETTER_BYTES)},
    }
