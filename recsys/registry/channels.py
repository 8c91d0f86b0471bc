"""Channels: the names that people and deployments use for bundles, and every move they ever made.

The document is changed only by the pure functions here; a store replaces it as a whole. Moves are in it, so a
channel never changes without its line of history, whenever a process dies.
"""

from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, NonNegativeInt, ValidationError

from recsys.core.errors import ConflictError, DataFormatError, FieldError, NotFoundError
from recsys.core.settings import FrozenModel
from recsys.registry.manifest import NAME_PATTERN

Channel = Literal["stable", "candidate", "previous"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
PROMOTABLE: tuple[Channel, ...] = ("stable", "candidate")


class Move(FrozenModel):
    """One channel came to name another bundle."""

    version: int = Field(ge=1)
    """The document's version that began with this move; moves made together share it."""
    at_s: float = Field(ge=0)
    """When, Unix time."""
    by: str
    """Who asked for it."""
    action: Literal["promote", "rollback"]
    """What was asked for."""
    channel: Channel
    """The channel that moved."""
    from_bundle: str | None = Field(pattern=NAME_PATTERN)
    """What it named before; None when nothing."""
    to_bundle: str | None = Field(pattern=NAME_PATTERN)
    """What it names since."""


class Channels(FrozenModel):
    """What each channel names. Version 0 is the empty document that no store has written."""

    format: Literal["marquee-channels"] = "marquee-channels"
    format_version: Literal[1] = 1
    version: NonNegativeInt = 0
    """One more with every change."""
    stable: str | None = Field(default=None, pattern=NAME_PATTERN)
    """What users get."""
    candidate: str | None = Field(default=None, pattern=NAME_PATTERN)
    """What a rollout may try."""
    previous: str | None = Field(default=None, pattern=NAME_PATTERN)
    """What ``stable`` named before; where a rollback goes."""
    moves: tuple[Move, ...] = ()
    """Every move since the beginning, oldest first."""

    def named_by(self, channel: Channel) -> str | None:
        """Return the bundle that a channel names; None when none."""
        return {"stable": self.stable, "candidate": self.candidate, "previous": self.previous}[channel]

    def naming(self, bundle: str) -> tuple[Channel, ...]:
        """Return the channels that name this bundle."""
        return tuple(channel for channel in CHANNELS if self.named_by(channel) == bundle)


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


def promote(
    channels: Channels, bundle: str, channel: str, *, expected: str | None, by: str, now_s: float
) -> Channels:
    """Let ``channel`` name ``bundle``; what ``stable`` named before becomes ``previous`` in the same change.

    Promoting what the channel names already changes nothing, so that the way back stays open.

    Args:
        channels: the document as it is.
        bundle: full name of a bundle that exists.
        channel: ``stable`` or ``candidate``; ``previous`` only follows.
        expected: what the caller has seen the channel name; None when it named nothing.
        by: who asks.
        now_s: Unix time.

    Raises:
        FieldError: there is no such channel to promote to.
        ConflictError: the channel names something else than ``expected``.
    """
    target = next((known for known in PROMOTABLE if known == channel), None)
    if target is None:
        raise FieldError("channel", repr(channel), " or ".join(PROMOTABLE))
    _check_expected(channels, target, expected)
    if expected == bundle:
        return channels
    wanted: dict[Channel, str | None] = {target: bundle}
    if target == "stable" and channels.stable is not None:
        wanted["previous"] = channels.stable
    return _moved(channels, wanted, action="promote", by=by, now_s=now_s)


def rollback(channels: Channels, *, expected: str, by: str, now_s: float) -> Channels:
    """Swap ``stable`` and ``previous``; once more is the way forward again.

    Args:
        channels: the document as it is.
        expected: the bundle to get away from, so that two people in a hurry do not undo each other.
        by: who asks.
        now_s: Unix time.

    Raises:
        NotFoundError: nothing was stable before.
        ConflictError: ``stable`` names something else than ``expected``.
    """
    _check_expected(channels, "stable", expected)
    if channels.previous is None:
        raise NotFoundError("bundle in channel", "previous")
    wanted: dict[Channel, str | None] = {"stable": channels.previous, "previous": channels.stable}
    return _moved(channels, wanted, action="rollback", by=by, now_s=now_s)


def _check_expected(channels: Channels, channel: Channel, expected: str | None) -> None:
    found = channels.named_by(channel)
    if found != expected:
        raise ConflictError(f"channel {channel}", expected or "no bundle", found or "no bundle")


def _moved(
    channels: Channels,
    wanted: dict[Channel, str | None],
    *,
    action: Literal["promote", "rollback"],
    by: str,
    now_s: float,
) -> Channels:
    version = channels.version + 1
    moves = tuple(
        Move(
            version=version,
            at_s=now_s,
            by=by,
            action=action,
            channel=channel,
            from_bundle=channels.named_by(channel),
            to_bundle=bundle,
        )
        for channel, bundle in wanted.items()
    )
    changed: dict[str, object] = dict(wanted.items())
    return channels.model_copy(update={**changed, "version": version, "moves": channels.moves + moves})
