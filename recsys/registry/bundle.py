"""The format of a bundle: one immutable folder, named by the digest of its content.

``manifest.json`` lists every other file with its size and SHA-256; the bundle's name is the first 16 hex
digits of the digest over that list, so equal content has an equal name. It is written into a temporary
folder, synced, and renamed once; reading verifies every digest before anything is handed out. Arrays come
back memory-mapped.
"""

from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray


class BundleWriter(Protocol):
    """Where the parts of a model write themselves."""

    def array(self, name: str, values: NDArray[Any]) -> None:
        """Write an array as ``<name>.npy``."""
        ...

    def json(self, name: str, value: object) -> None:
        """Write ``<name>.json`` with sorted keys."""
        ...

    def path(self, name: str) -> Path:
        """Return where a file called ``name`` belongs, its folders made; the caller writes it."""
        ...


class BundleReader(Protocol):
    """A verified bundle that parts of a model read themselves from."""

    @property
    def name(self) -> str:
        """The bundle's name: 16 hex digits."""
        ...

    def array(self, name: str) -> NDArray[Any]:
        """Return ``<name>.npy``, memory-mapped and read-only."""
        ...

    def json(self, name: str) -> Any:  # noqa: ANN401 - JSON is whatever was written
        """Return the value of ``<name>.json``."""
        ...

    def path(self, name: str) -> Path:
        """Return the path of a verified file; CorruptBundleError when the manifest does not list it."""
        ...
