"""The manifest of a bundle: what it holds, and a digest for every byte of it, the manifest's own included.

``manifest.json`` is written in one canonical form, and one of its fields is the SHA-256 of all others. A
manifest that is not byte for byte what :meth:`Manifest.to_bytes` would write is refused, so no flipped bit in
it goes unnoticed, not even in a metric or a blank.
"""

import json
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, JsonValue, NonNegativeInt
from pydantic_core import from_json

from recsys.core.errors import CorruptBundleError, IncompatibleBundleError
from recsys.core.hashing import digest_bytes
from recsys.core.settings import FrozenModel

FORMAT = "marquee-bundle"
FORMAT_VERSION = 2
MANIFEST_FILE = "manifest.json"
NAME_LENGTH = 16
NAME_PATTERN = r"^[0-9a-f]{16}$"
_SHA256_PATTERN = r"^[0-9a-f]{64}$"
_DIGEST_FIELD = "manifest_sha256"


class FileEntry(FrozenModel):
    """One file of a bundle."""

    bytes: NonNegativeInt
    """Its size."""
    sha256: str = Field(pattern=_SHA256_PATTERN)
    """Its digest, 64 hex digits."""


class Manifest(FrozenModel):
    """Everything known about a bundle without opening its other files."""

    format: Literal["marquee-bundle"] = "marquee-bundle"
    format_version: Literal[2] = 2
    name: str = Field(pattern=NAME_PATTERN)
    """First 16 hex digits of the digest over format, feature schema and files: equal content, equal name."""
    feature_schema: str = Field(min_length=1)
    """Digest of the features that the ranker was trained on; serving refuses all but its own."""
    created_s: float = Field(ge=0)
    """When it was written, Unix time; no part of the name."""
    meta: dict[str, JsonValue]
    """Free: data, metrics, settings, measured index recall; no part of the name."""
    files: dict[str, FileEntry]
    """Path inside the bundle -> size and digest."""

    @property
    def n_bytes(self) -> int:
        """Size of all files together, without the manifest."""
        return sum(entry.bytes for entry in self.files.values())

    def to_bytes(self) -> bytes:
        """Return the canonical form: sorted keys, two blanks of indent, and the digest of all other fields.

        Raises:
            ValueError: ``meta`` holds NaN or an infinity, which JSON does not have.
        """
        fields = self.model_dump()
        return _json({**fields, _DIGEST_FIELD: digest_bytes(_json(fields))})

    @classmethod
    def read(cls, bundle: Path) -> Self:
        """Read and check the manifest of the bundle in this folder.

        Raises:
            CorruptBundleError: it is missing, or any byte of it is not as it was written.
            IncompatibleBundleError: it was written by another version of the format.
        """
        try:
            data = (bundle / MANIFEST_FILE).read_bytes()
        except OSError as error:
            raise CorruptBundleError(bundle.name, MANIFEST_FILE, "missing") from error
        return cls.parse(bundle.name, data)

    @classmethod
    def parse(cls, bundle: str, data: bytes) -> Self:
        """Check the content of a manifest; ``bundle`` is what errors call it.

        Raises:
            CorruptBundleError: any byte of it is not as it was written.
            IncompatibleBundleError: it was written by another version of the format.
        """
        try:
            fields = from_json(data, allow_inf_nan=False)
        except ValueError as error:
            raise CorruptBundleError(bundle, MANIFEST_FILE, f"not JSON ({error})") from error
        _check_format(bundle, fields)
        return cls._checked(bundle, fields, data)

    @classmethod
    def _checked(cls, bundle: str, fields: dict[str, JsonValue], data: bytes) -> Self:
        try:
            known = {key: value for key, value in fields.items() if key != _DIGEST_FIELD}
            manifest = cls.model_validate(known, strict=True)
            unchanged = manifest.to_bytes() == data
        except ValueError as error:  # pydantic's, or a number that JSON does not have
            raise CorruptBundleError(bundle, MANIFEST_FILE, "not a usable manifest") from error
        if not unchanged:
            raise CorruptBundleError(bundle, MANIFEST_FILE, "differs from its digest")
        if manifest.name != name_of(manifest.feature_schema, manifest.files):
            raise CorruptBundleError(bundle, MANIFEST_FILE, "its name is not that of its content")
        return manifest


def name_of(feature_schema: str, files: dict[str, FileEntry]) -> str:
    """Return the name that this content has."""
    content = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "feature_schema": feature_schema,
        "files": {path: entry.model_dump() for path, entry in files.items()},
    }
    return digest_bytes(_json(content))[:NAME_LENGTH]


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, indent=2, allow_nan=False).encode() + b"\n"


def _check_format(bundle: str, fields: object) -> None:
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        raise CorruptBundleError(bundle, MANIFEST_FILE, f"not the manifest of a {FORMAT}")
    if (found := fields.get("format_version")) != FORMAT_VERSION:
        reason = f"format version {found}; this program reads version {FORMAT_VERSION}"
        raise IncompatibleBundleError(bundle, MANIFEST_FILE, reason)
