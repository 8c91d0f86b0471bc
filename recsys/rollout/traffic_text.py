"""The traffic document as text: what every store keeps."""

from pathlib import Path

from pydantic import ValidationError

from recsys.core.errors import DataFormatError
from recsys.rollout.traffic import TrafficDocument


def to_text(document: TrafficDocument) -> str:
    """Return a document as JSON that people can read."""
    return document.model_dump_json(indent=2) + "\n"


def from_text(where: str | Path, text: str | bytes) -> TrafficDocument:
    """Read a document; ``where`` it was found is for the error.

    Raises:
        DataFormatError: it is no usable traffic document; says which field, and why.
    """
    try:
        return TrafficDocument.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "content"
        raise DataFormatError(where, "a traffic document", f"{field}: {first['msg']}") from error


def newer_than(version: int, document: TrafficDocument, where: str | Path) -> TrafficDocument | None:
    """Return the document if it is newer than ``version``, None if it is that version.

    Raises:
        DataFormatError: it is older.
    """
    if document.version < version:
        raise DataFormatError(where, f"version {version} or later", f"version {document.version}")
    return document if document.version > version else None
