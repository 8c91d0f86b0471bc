"""The registry in a folder: ``bundles/<name>/`` and ``channels.json``.

Looking needs no right to write; only publishing, promoting and rolling back do.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import JsonValue

from recsys.core.durable import locked, replace_durably, sync_file
from recsys.registry.bundle import BundleWriter
from recsys.registry.channels import Channels, channels_of, to_bytes
from recsys.registry.manifest import NAME_PATTERN, Manifest
from recsys.registry.named import NamedBundles
from recsys.registry.staging import staging_folder
from recsys.registry.writer import BundleRef, write_bundle


class LocalRegistry(NamedBundles):
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

    def channels(self) -> Channels:
        """Return what the channels name now; see :class:`~recsys.registry.named.NamedBundles`."""
        try:
            content = self._channels.read_bytes()
        except FileNotFoundError:
            return Channels()
        return channels_of(content, self._channels)

    def _change(self, change: Callable[[Channels], Channels]) -> Channels:
        self.root.mkdir(parents=True, exist_ok=True)
        with locked(self.root / ".channels.lock"):
            before = self.channels()
            after = change(before)
            if after is not before:
                replace_durably(self._channels, to_bytes(after))
        return after

    def _remove(self, name: str) -> None:
        with staging_folder(self._bundles) as folder:  # what a killed process leaves is swept by the next
            (self._bundles / name).rename(folder)
            sync_file(self._bundles)

    def _names(self) -> tuple[str, ...]:
        if not self._bundles.is_dir():
            return ()
        return tuple(
            sorted(path.name for path in self._bundles.iterdir() if re.match(NAME_PATTERN, path.name))
        )

    def _read_manifest(self, name: str) -> Manifest:
        return Manifest.read(self._bundles / name)
