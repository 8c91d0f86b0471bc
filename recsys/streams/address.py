"""Where a broker is, and which topics are ours: ``kafka://HOST:PORT[,HOST:PORT...][/PREFIX]``."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator

from recsys.core.errors import FieldError
from recsys.core.settings import checked_by

SCHEME: Final = "kafka://"
USUAL_PREFIX: Final = "marquee"

_EXPECTED: Final = "kafka://HOST:PORT or kafka://HOST:PORT,HOST:PORT/PREFIX"
_SERVER: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+):[0-9]{1,5}")
_PREFIX: Final = re.compile(r"[A-Za-z0-9_.-]{1,200}")  # Kafka takes names of 249 characters


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """Brokers, and what the names of our topics begin with.

    >>> KafkaAddress.of("kafka://one:9092,two:9092/shop").events
    'shop.events'
    """

    servers: str  # HOST:PORT, with commas between
    prefix: str

    @classmethod
    def of(cls, text: str) -> "KafkaAddress":
        """Read an address.

        Raises:
            FieldError: it is none.
        """
        servers, _, prefix = text.removeprefix(SCHEME).partition("/")
        known = all(_SERVER.fullmatch(server) for server in servers.split(","))
        if not text.startswith(SCHEME) or not known or not _PREFIX.fullmatch(prefix or USUAL_PREFIX):
            raise FieldError("kafka address", repr(text[:80]), _EXPECTED)
        return cls(servers, prefix or USUAL_PREFIX)

    @property
    def events(self) -> str:
        """Topic of events and erasures, in the order of each user."""
        return f"{self.prefix}.events"

    @property
    def catalogue(self) -> str:
        """Topic of changes of items; of each item the latest stays for ever."""
        return f"{self.prefix}.catalogue"

    @property
    def exposures(self) -> str:
        """Topic of lists that were shown."""
        return f"{self.prefix}.exposures"

    @property
    def dead_letters(self) -> str:
        """Topic of what could not be used, as it came."""
        return f"{self.prefix}.dead-letters"


def check_address(text: str) -> str:
    """Return an address; FieldError when it is none."""
    KafkaAddress.of(text)
    return text


def _no_broker(folder: Path) -> Path:
    if folder.parts[:1] == ("kafka:",):  # a slash too few, or what the other reading has refused
        raise ValueError(f"got {folder}; expected {_EXPECTED}, or a folder")
    return folder


KafkaPlace = Annotated[str, checked_by(check_address)]
"""The address of a broker, in settings."""

EventLogPlace = KafkaPlace | Annotated[Path, AfterValidator(_no_broker)]
"""Where an event log is, in settings: the address of a broker, or a folder."""
