"""What people call a bundle: a channel, its name, or the beginning of its name."""

from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import ValidationError

from recsys.core.errors import DataFormatError, FieldError, NotFoundError
from recsys.registry.channels import CHANNELS, Channels


def resolve(ref: str, names: Sequence[str], channels: Callable[[], Channels]) -> str:
    """Return the full name of the bundle that ``ref`` means.

    Args:
        ref: a channel, a name, or the beginning of one.
        names: of all bundles.
        channels: reads what they name; not called for a name.

    Raises:
        NotFoundError: there is no such bundle, or the channel names none.
        FieldError: several bundles begin with ``ref``.
    """
    for channel in CHANNELS:
        if ref == channel:
            return _in_channel(channels().named_by(channel), channel, names)
    found = [name for name in names if ref and name.startswith(ref)]
    if not found:
        raise NotFoundError("bundle", ref, ", ".join((*CHANNELS, *names)))
    if len(found) > 1:
        raise FieldError("bundle", repr(ref), f"more digits, to tell {' and '.join(found)} apart")
    return found[0]


def channels_of(content: bytes, where: str | Path) -> Channels:
    """Return the channels as they were written.

    Raises:
        DataFormatError: they were changed by hand and cannot be used.
    """
    try:
        return Channels.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        found = f"{'.'.join(str(part) for part in first['loc']) or 'content'}: {first['msg']}"
        raise DataFormatError(where, "the channels of a registry", found) from error


def to_bytes(channels: Channels) -> bytes:
    """Return the channels as they are written."""
    return channels.model_dump_json(indent=2).encode() + b"\n"


def _in_channel(name: str | None, channel: str, names: Sequence[str]) -> str:
    if name is None:
        raise NotFoundError("bundle in channel", channel)
    if name not in names:
        raise NotFoundError("bundle", name, ", ".join(names))
    return name
