"""The registry in a folder: ``bundles/<name>/`` and ``channels.json``.

Looking needs no right to write; only publishing, promoting and rolling back do.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import JsonValue

from recsys.core.durable import locked, replace_durably
from recsys.core.errors import BundleError, CorruptBundleError
from recsys.registry import channels as moves
from recsys.registry import references
from recsys.registry.bundle import BundleWriter
from recsys.registry.channels import Channels
from recsys.registry.manifest import MANIFEST_FILE, NAME_PATTERN, Manifest
from recsys.registry.store import BundleInfo
from recsys.registry.writer import BundleRef, write_bundle


class LocalRegistry:
    """A :class:`~recsys.registry.store.Registry` in a folder; one that does not exist is an empty one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._bundles = root / "bundles"
        self._channels = root / "channels.json"

    def publish(
        self,
        fill: Callable[[BundleWriter], None],
        *,
        feature_schema: str,
        created_s: float,
        meta: Mapping[str, JsonValue],
    ) -> BundleRef:
        """Write a bundle, all of it or nothing; see :func:`~recsys.registry.writer.write_bundle`."""
        return write_bundle(
            self._bundles, fill, feature_schema=feature_schema, created_s=created_s, meta=meta
        )

    def resolve(self, ref: str) -> str:
        """Return the full name of the bundle that ``ref`` means: a channel, a name, or the beginning of one.

        Raises:
            NotFoundError: there is no such bundle, or the channel names none.
            FieldError: several bundles begin with ``ref``.
        """
        return references.resolve(ref, self._names(), self.channels)

    def get(self, ref: str) -> Path:
        """Return the folder of a bundle; open_bundle verifies it.

        Raises:
            NotFoundError: there is no such bundle.
            FieldError: several bundles begin with ``ref``.
            BundleError: its manifest cannot be used, or belongs to another bundle.
        """
        name = self.resolve(ref)
        self._manifest(name)
        return self._bundles / name

    def list(self) -> list[BundleInfo]:
        """Return all bundles, the newest first, those that cannot be read at the end."""
        infos = [self._info(name) for name in self._names()]
        return sorted(infos, key=lambda info: -(info.manifest.created_s if info.manifest else -1.0))

    def channels(self) -> Channels:
        """Return what the channels name now, and their history.

        Raises:
            DataFormatError: ``channels.json`` was changed by hand and cannot be used.
        """
        try:
            content = self._channels.read_bytes()
        except FileNotFoundError:
            return Channels()
        return references.channels_of(content, self._channels)

    def promote(self, ref: str, channel: str, *, expected: str | None, by: str, now_s: float) -> Channels:
        """Let a channel name another bundle; see :func:`~recsys.registry.channels.promote`.

        Raises:
            ConflictError: the channel does not name ``expected`` any more.
            FieldError: no such channel, or several bundles begin with ``ref``.
            NotFoundError: there is no such bundle.
            BundleError: its manifest cannot be used.
        """
        bundle = self.get(ref).name
        return self._change(
            lambda now: moves.promote(now, bundle, channel, expected=expected, by=by, now_s=now_s)
        )

    def rollback(self, *, expected: str, by: str, now_s: float) -> Channels:
        """Swap ``stable`` and ``previous``; see :func:`~recsys.registry.channels.rollback`.

        Raises:
            ConflictError: ``stable`` does not name ``expected`` any more.
            NotFoundError: nothing was stable before, or it is gone.
            BundleError: the manifest of the bundle to go back to cannot be used.
        """

        def change(now: Channels) -> Channels:
            after = moves.rollback(now, expected=expected, by=by, now_s=now_s)
            self.get(after.stable or "")
            return after

        return self._change(change)

    def _change(self, change: Callable[[Channels], Channels]) -> Channels:
        self.root.mkdir(parents=True, exist_ok=True)
        with locked(self.root / ".channels.lock"):
            before = self.channels()
            after = change(before)
            if after is not before:
                replace_durably(self._channels, references.to_bytes(after))
        return after

    def _names(self) -> tuple[str, ...]:
        if not self._bundles.is_dir():
            return ()
        return tuple(
            sorted(path.name for path in self._bundles.iterdir() if re.match(NAME_PATTERN, path.name))
        )

    def _manifest(self, name: str) -> Manifest:
        manifest = Manifest.read(self._bundles / name)
        if manifest.name != name:
            raise CorruptBundleError(name, MANIFEST_FILE, f"belongs to bundle {manifest.name}")
        return manifest

    def _info(self, name: str) -> BundleInfo:
        try:
            return BundleInfo(name, self._manifest(name), None)
        except BundleError as error:
            return BundleInfo(name, None, str(error))
