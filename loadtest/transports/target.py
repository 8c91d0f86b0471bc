"""Where requests go, and what a transport may use up on the way."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import PositiveFloat, PositiveInt

from recsys.core.errors import FieldError
from recsys.core.settings import FrozenModel

_PORTS = {"http": 80, "https": 443}


class Limits(FrozenModel):
    """What a transport may use up."""

    connections: PositiveInt = 1_024
    """Connections at most, per process; requests beyond wait for one, and their latency counts on."""
    timeout_s: PositiveFloat = 10.0
    """A request that has no whole answer after this long has failed."""
    connect_timeout_s: PositiveFloat = 3.0
    """A connection that is not made after this long has failed."""
    verify: bool = True
    """Whether certificates are checked (https)."""


@dataclass(frozen=True, slots=True)
class Target:
    """A service."""

    scheme: str  # http or https
    host: str
    port: int
    prefix: str = ""  # of every path, without a slash at its end
    headers: tuple[tuple[str, str], ...] = ()  # of every request

    @property
    def authority(self) -> str:
        """Host and port as the Host header gives them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The address without a slash at its end."""
        return f"{self.scheme}://{self.authority}{self.prefix}"


def target_of(url: str, headers: tuple[tuple[str, str], ...] = ()) -> Target:
    """Return what an address names.

    Raises:
        FieldError: it is no address of http or https, or a header has a line break.

    >>> target_of("http://127.0.0.1:8000/").url
    'http://127.0.0.1:8000'
    """
    parts = urlsplit(url)
    expected = "http://host[:port][/prefix] or https://..."
    if parts.scheme not in _PORTS or not parts.hostname or parts.query or parts.fragment:
        raise FieldError("URL", repr(url), expected)
    try:
        port = parts.port or _PORTS[parts.scheme]
    except ValueError:
        raise FieldError("URL", repr(url), expected) from None
    for name, value in headers:
        if not name or any(sign in name + value for sign in "\r\n"):
            raise FieldError("header", repr(f"{name}: {value}"), "Name: value, on one line")
    return Target(parts.scheme, parts.hostname, port, parts.path.rstrip("/"), headers)
