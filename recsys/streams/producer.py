"""How we send: nothing acknowledged is lost, nothing that is sent again by itself stands there twice."""

from recsys.streams.address import KafkaAddress
from recsys.streams.connection import connection
from recsys.streams.topics import MAX_MESSAGE_BYTES


def producer_settings(
    address: KafkaAddress,
    client_id: str,
    *,
    patience_s: float,
    linger_s: float,
    max_bytes: int = MAX_MESSAGE_BYTES,
) -> dict[str, str]:
    """Return the settings of a producer that loses nothing it has acknowledged and sends nothing twice."""
    return {
        **connection(address),
        "client.id": client_id,
        "enable.idempotence": "true",  # brings acks=all
        "message.timeout.ms": f"{patience_s * 1_000:.0f}",
        "linger.ms": f"{linger_s * 1_000:g}",
        "message.max.bytes": str(max_bytes),
        "partitioner": "murmur2_random",  # as Java's producers choose
    }
