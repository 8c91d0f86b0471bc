"""Exposures to Kafka, for whoever wants to know what was asked and shown; never in the way of an answer."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future

from recsys.core.errors import UnavailableError
from recsys.eventlog.exposure import Exposure
from recsys.eventlog.exposure_writer import Fate
from recsys.streams.address import KafkaAddress
from recsys.streams.exposure_message import encode_exposure
from recsys.streams.sender import Sender, SenderConfig


class ExposureTopic:
    """Publishes exposures in their topic, a person's in one partition. What cannot be sent is dropped.

    Args:
        address: brokers and topics, which :func:`recsys.streams.kafka_topics.make_topics` has made.
        writer_id: says in the broker's logs who wrote.
        on_fate: is told what became of how many; in threads of its own.
        config: patience and bounds.

    Raises:
        FieldError: the connection's settings are none.
    """

    def __init__(
        self,
        address: KafkaAddress,
        writer_id: str,
        *,
        on_fate: Callable[[Fate, int], None],
        config: SenderConfig | None = None,
    ) -> None:
        self._sender = Sender(address, address.exposures, writer_id, config=config)
        self._on_fate = on_fate

    def publish(self, exposures: Sequence[Exposure]) -> None:
        """Send exposures on their way; returns at once and raises nothing."""
        try:
            sent = self._sender.send([(_whose(one), encode_exposure(one)) for one in exposures])
        except (UnavailableError, TypeError):  # too much is waiting; text that is not Unicode
            self._on_fate(Fate.DROPPED, len(exposures))
            return
        sent.add_done_callback(lambda done: self._on_fate(_fate_of(done), len(exposures)))

    def close(self) -> None:
        """Wait for what is on its way, as long as patience lasts, then close."""
        self._sender.close()


def _whose(exposure: Exposure) -> bytes:
    """Return what keeps the answers to one person or session in their order."""
    return (exposure.user_pseudonym or exposure.session_pseudonym or exposure.request_id).encode()


def _fate_of(sent: "Future[None]") -> Fate:
    return Fate.WRITTEN if sent.exception() is None else Fate.DROPPED
