"""What every client of Kafka is told: where the brokers are, and how to be let in."""

import os
from pathlib import Path
from typing import Final

from recsys.core.errors import FieldError
from recsys.streams.address import KafkaAddress

PROPERTIES_VARIABLE: Final = "MARQUEE_KAFKA_PROPERTIES"
"""Names a file of librdkafka's settings, ``key=value`` line by line: TLS, SASL and the like, so that no
secret stands in an address."""


def connection(address: KafkaAddress) -> dict[str, str]:
    """Return the settings that all clients of these brokers share.

    Raises:
        FieldError: the file that :data:`PROPERTIES_VARIABLE` names cannot be read.
    """
    path = os.environ.get(PROPERTIES_VARIABLE)
    return {
        "reconnect.backoff.max.ms": "1000",
        "log_level": "2",  # a broker that is away is told by calls, not line by line on standard error
        **(_properties(Path(path)) if path else {}),
        "bootstrap.servers": address.servers,
    }


def _properties(path: Path) -> dict[str, str]:
    try:
        lines = [line.strip() for line in path.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise FieldError(PROPERTIES_VARIABLE, str(path), f"a file that can be read ({error})") from error
    found = [line.partition("=") for line in lines if line and not line.startswith("#")]
    if any(not equals for _, equals, _ in found):
        raise FieldError(PROPERTIES_VARIABLE, str(path), "lines of key=value")
    return {key.strip(): value.strip() for key, _, value in found}
