"""What every registry can do, wherever its bundles live."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue

from recsys.registry.bundle import BundleWriter
from recsys.registry.channels import Channel, Channels
from recsys.registry.manifest import Manifest
from recsys.registry.writer import BundleRef


@dataclass(frozen=True, slots=True)
class BundleInfo:
    """A bundle in a list: what its manifest says, or why it cannot be read."""

    name: str
    manifest: Manifest | None  # None when it cannot be read
    fault: str | None  # one sentence; None when the manifest is sound (the files are not looked at)


class Registry(Protocol):
    """Where bundles live, and the channels that name them.

    A ``ref`` is a channel, a bundle's name, or a prefix of one that fits no other bundle. Every method raises
    NotFoundError for a ref that names nothing, and FieldError for one that names several.
    """

    def publish(
        self,
        fill: Callable[[BundleWriter], None],
        *,
        feature_schema: str,
        created_s: float,
        meta: Mapping[str, JsonValue],
    ) -> BundleRef:
        """Write a bundle, all of it or nothing; no channel names it yet."""
        ...

    def resolve(self, ref: str) -> str:
        """Return the full name of the bundle that ``ref`` means."""
        ...

    def get(self, ref: str) -> Path:
        """Return a folder that holds the bundle; open_bundle verifies it."""
        ...

    def remove(self, ref: str) -> str:
        """Remove a bundle that no channel names, else ConflictError; return its name."""
        ...

    def list(self) -> list[BundleInfo]:
        """Return all bundles, the newest first, those that cannot be read at the end."""
        ...

    def channels(self) -> Channels:
        """Return what the channels name now, and their history."""
        ...

    def promote(self, ref: str, channel: str, *, expected: str | None, by: str, now_s: float) -> Channels:
        """Let a channel name another bundle if it names ``expected`` now, else ConflictError."""
        ...

    def rollback(self, *, expected: str, by: str, now_s: float) -> Channels:
        """Swap ``stable`` and ``previous`` if ``stable`` names ``expected`` now, else ConflictError."""
        ...


def let_channel_name(registry: Registry, bundle: str, channel: Channel, *, by: str, now_s: float) -> None:
    """Let a channel name a bundle, unless it does already.

    Raises:
        ConflictError: somebody moved the channel meanwhile.
    """
    now = registry.channels().named_by(channel)
    if now != bundle:
        registry.promote(bundle, channel, expected=now, by=by, now_s=now_s)
