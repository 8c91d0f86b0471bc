"""From an address to a registry."""

import hashlib
import os
from pathlib import Path
from typing import Annotated

from recsys.core.errors import FieldError
from recsys.core.settings import PATH_TOO, checked_by
from recsys.registry.local import LocalRegistry
from recsys.registry.store import Registry

CACHE_VARIABLE = "MARQUEE_CACHE"
"""Names the folder for what is downloaded; without it, ``~/.cache/marquee``."""

SCHEMES = ("s3", "gs", "az")
EXPECTED = "a folder, s3://bucket/prefix, gs://bucket/prefix or az://account/container/prefix"


def open_registry(address: str | Path, *, cache: Path | None = None) -> Registry:
    """Open the registry that an address names.

    Args:
        address: a folder, or ``s3://bucket/prefix``, ``gs://...``, ``az://...``.
        cache: where bundles of a bucket are kept on this machine; None: see :data:`CACHE_VARIABLE`.

    Raises:
        FieldError: the address cannot be read, or obstore is not installed.
    """
    text = check_address(str(address))
    if "://" not in text:
        return LocalRegistry(Path(text))
    try:
        from recsys.registry.objects import ObjectRegistry  # noqa: PLC0415 - an extra: only who asks needs it
    except ModuleNotFoundError as error:
        raise FieldError("registry", repr(text), "obstore: pip install 'marquee-recsys[objects]'") from error
    return ObjectRegistry(text, cache or _cache_of(text))


def check_address(text: str) -> str:
    """Return an address if there can be such a registry.

    Raises:
        FieldError: there cannot.
    """
    scheme, separator, rest = text.partition("://")
    if not text or (separator and (scheme not in SCHEMES or not rest)):
        raise FieldError("registry", repr(text[:80]), EXPECTED)
    return text


def absolute(address: str) -> str:
    """Return an address that means the same in every folder.

    Raises:
        FieldError: there cannot be such a registry.
    """
    return check_address(address) if "://" in address else str(Path(check_address(address)).absolute())


def _cache_of(address: str) -> Path:
    base = os.environ.get(CACHE_VARIABLE)
    folder = Path(base) if base else Path.home() / ".cache" / "marquee"
    return folder / hashlib.sha256(address.encode()).hexdigest()[:16]


RegistryAddress = Annotated[str, PATH_TOO, checked_by(check_address)]
"""Of a registry, in settings; a path is fine too."""
