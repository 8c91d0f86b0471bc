"""Kafka's topics as a place that forgets; a file of its own, for Kafka is an extra."""

from collections.abc import Mapping

from recsys.privacy.names import Names
from recsys.streams.address import KafkaAddress
from recsys.streams.leaving import erasures_in, forget, messages_naming


class KafkaPlace:
    """Topics of events, exposures and dead letters.

    Args:
        address: ``kafka://HOST:PORT/PREFIX``.

    Raises:
        FieldError: the address is none.
    """

    name = "kafka"

    def __init__(self, address: str) -> None:
        self._kafka = KafkaAddress.of(address)
        self.address = address

    def erase(self, people: Mapping[Names, float]) -> Mapping[str, int]:
        """Send tombstones; the brokers remove what they stand for when they compact the topics."""
        inside = {name: at_s for names, at_s in people.items() for name in names.inside}
        shown = {name: at_s for names, at_s in people.items() for name in names.shown}
        return forget(self._kafka, inside, shown)

    def traces(self, names: Names) -> Mapping[str, int]:
        """Read all topics from the beginning, as anybody may."""
        return messages_naming(self._kafka, names.inside, names.shown)

    def erasures(self) -> Mapping[str, float]:
        """Return who asked to leave -> up to which Unix time, while the topic of events says so."""
        return erasures_in(self._kafka)
