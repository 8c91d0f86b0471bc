"""Where a replica is called by wire."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Address:
    """Host, port, and the secret that opens the door. Ray Serve carries it to the routers."""

    host: str
    port: int
    secret: bytes = field(repr=False)

    @property
    def hello(self) -> bytes:
        """What a caller says first; the number changes with the format of the frames."""
        return b"marquee-wire-1 " + self.secret
