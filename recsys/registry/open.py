"""From an address to a registry."""

import hashlib
import os
from pathlib import Path

from recsys.core.errors import FieldError
from recsys.registry.local import LocalRegistry
from recsys.registry.store import Registry

CACHE_VARIABLE = "MARQUEE_CACHE"
"""Names the folder for what is downloaded; without it, ``~/.cache/marquee``."""


def open_registry(address: str | Path, *, cache: Path | None = None) -> Registry:
    """Open the registry that an address names.

    Args:
        address: a folder, or ``s3://bucket/prefix``, ``gs://...``, ``az://...``.
        cache: where bundles of a bucket are kept on this machine; None: see :data:`CACHE_VARIABLE`.

    Raises:
        FieldError: the address cannot be read, or obstore is not installed.
    """
    text = str(address)
    if "://" not in text:
        return LocalRegistry(Path(address))
    try:
        from recsys.registry.objects import ObjectRegistry  # noqa: PLC0415 - an extra: only who asks needs it
    except ModuleNotFoundError as error:
        raise FieldError("registry", repr(text), "obstore: pip install 'marquee-recsys[objects]'") from error
    return ObjectRegistry(text, cache or _cache_of(text))


def _cache_of(address: str) -> Path:
    base = os.environ.get(CACHE_VARIABLE)
    folder = Path(base) if base else Path.home() / ".cache" / "marquee"
    return folder / hashlib.sha256(address.encode()).hexdigest()[:16]
