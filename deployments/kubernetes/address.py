"""``configmap://NAMESPACE/NAME``: how a ConfigMap is named in settings. Needs no client."""

import re
from dataclasses import dataclass
from typing import Final, Self

from recsys.core.errors import FieldError

SCHEME: Final = "configmap"
HISTORY: Final = "-history"
"""What the name of the ConfigMap with the predecessors ends in."""

_LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_NAMESPACE = re.compile(_LABEL)
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_LONGEST_NAMESPACE = 63
_LONGEST_NAME = 253 - len(HISTORY)


@dataclass(frozen=True, slots=True)
class ConfigMapAddress:
    """A namespace and the name of a ConfigMap in it.

    Example:
        >>> ConfigMapAddress.parse("configmap://shop/marquee-traffic").name
        'marquee-traffic'
    """

    namespace: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address.

        Raises:
            FieldError: it names no ConfigMap that Kubernetes would take.
        """
        namespace, slash, name = text.removeprefix(f"{SCHEME}://").partition("/")
        if not text.startswith(f"{SCHEME}://") or not slash:
            raise FieldError("traffic", repr(text), f"{SCHEME}://NAMESPACE/NAME")
        _check("namespace", namespace, _NAMESPACE, _LONGEST_NAMESPACE)
        _check("name", name, _NAME, _LONGEST_NAME)
        return cls(namespace, name)

    @property
    def history(self) -> "ConfigMapAddress":
        """Where its predecessors are kept."""
        return ConfigMapAddress(self.namespace, f"{self.name}{HISTORY}")

    def __str__(self) -> str:
        return f"{SCHEME}://{self.namespace}/{self.name}"


def _check(part: str, got: str, pattern: re.Pattern[str], longest: int) -> None:
    if len(got) > longest or not pattern.fullmatch(got):
        dots = " and dots" if pattern is _NAME else ""
        raise FieldError(
            f"traffic {part}",
            repr(got[:80]) if got else "nothing",
            f"at most {longest} of a-z, 0-9, hyphens{dots}, a letter or digit at both ends: "
            f"{SCHEME}://NAMESPACE/NAME",
        )
