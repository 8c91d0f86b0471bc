"""The registry in a bucket, laid out as one in a folder.

A bundle is there once its manifest is, which is uploaded last. Channels are changed by compare-and-swap on
the object's tag. What is asked for is downloaded into a folder of this machine, verified, and kept: processes
share its pages, and a bundle that was loaded once can be loaded again while the bucket is away.
"""

import os
import re
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from recsys.core.durable import locked, sync_file
from recsys.core.errors import BundleError, ConflictError, CorruptBundleError
from recsys.registry import channels as moves
from recsys.registry import references
from recsys.registry.bucket import Bucket
from recsys.registry.bundle import BundleWriter
from recsys.registry.channels import Channels
from recsys.registry.manifest import MANIFEST_FILE, NAME_PATTERN, Manifest
from recsys.registry.reader import open_bundle
from recsys.registry.staging import staging_folder
from recsys.registry.store import BundleInfo
from recsys.registry.writer import BundleRef, write_bundle

if TYPE_CHECKING:
    from obstore import UpdateVersion

_CHANNELS = "channels.json"
_MANIFEST = re.compile(rf"^bundles/([0-9a-f]{{16}})/{re.escape(MANIFEST_FILE)}$")
_AT_ONCE = 4
_TRIES = 20  # others may move channels too


class ObjectRegistry:
    """A :class:`~recsys.registry.store.Registry` in a bucket.

    Every method raises UnavailableError when the bucket cannot be reached or refuses.

    Args:
        address: see :class:`~recsys.registry.bucket.Bucket`.
        cache: folder of this machine for what was downloaded.
        n_kept: bundles that stay in it; those asked for longest ago go first.
    """

    def __init__(self, address: str, cache: Path, *, n_kept: int = 4) -> None:
        self._bucket = Bucket(address)
        self._cache = cache
        self._n_kept = n_kept

    def publish(
        self,
        fill: Callable[[BundleWriter], None],
        *,
        feature_schema: str,
        created_s: float,
        meta: Mapping[str, JsonValue],
    ) -> BundleRef:
        """Write a bundle here, then upload it; see :func:`~recsys.registry.writer.write_bundle`."""
        written = write_bundle(
            self._cache, fill, feature_schema=feature_schema, created_s=created_s, meta=meta
        )
        is_new = written.name not in self._names()
        if is_new:
            self._upload(written)
        return BundleRef(written.name, written.path, is_new)

    def resolve(self, ref: str) -> str:
        """Return the full name of the bundle that ``ref`` means: a channel, a name, or the beginning of one.

        Raises:
            NotFoundError: there is no such bundle, or the channel names none.
            FieldError: several bundles begin with ``ref``.
        """
        return references.resolve(ref, self._names(), self.channels)

    def get(self, ref: str) -> Path:
        """Return a folder of this machine that holds the bundle, downloaded and verified if it was not there.

        Raises:
            NotFoundError: there is no such bundle.
            FieldError: several bundles begin with ``ref``.
            BundleError: its manifest cannot be used, or what came is not what it lists.
        """
        is_kept = re.match(NAME_PATTERN, ref) and (self._cache / ref).is_dir()
        name = ref if is_kept else self.resolve(ref)
        self._cache.mkdir(parents=True, exist_ok=True)
        with locked(self._cache / ".download.lock"):  # whoever comes second finds it there
            if not (self._cache / name).is_dir():
                self._download(name)
            os.utime(self._cache / name)
            self._forget(but=name)
        return self._cache / name

    def list(self) -> list[BundleInfo]:
        """Return all bundles, the newest first, those that cannot be read at the end."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            infos = [*pool.map(self._info, self._names())]
        return sorted(infos, key=lambda info: -(info.manifest.created_s if info.manifest else -1.0))

    def channels(self) -> Channels:
        """Return what the channels name now, and their history.

        Raises:
            DataFormatError: they were changed by hand and cannot be used.
        """
        return self._versioned_channels()[0]

    def promote(self, ref: str, channel: str, *, expected: str | None, by: str, now_s: float) -> Channels:
        """Let a channel name another bundle; see :func:`~recsys.registry.channels.promote`.

        Raises:
            ConflictError: the channel does not name ``expected`` any more.
            FieldError: no such channel, or several bundles begin with ``ref``.
            NotFoundError: there is no such bundle.
            BundleError: its manifest cannot be used.
        """
        bundle = self.resolve(ref)
        self._manifest(bundle)
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
            self._manifest(self.resolve(after.stable or ""))
            return after

        return self._change(change)

    def _change(self, change: Callable[[Channels], Channels]) -> Channels:
        for _ in range(_TRIES):
            before, version = self._versioned_channels()
            after = change(before)
            if after is before or self._bucket.swap(_CHANNELS, references.to_bytes(after), version):
                return after
        raise ConflictError("channels", "a moment without other changes", f"{_TRIES} changes by others")

    def _versioned_channels(self) -> "tuple[Channels, UpdateVersion | None]":
        found = self._bucket.read(_CHANNELS)
        if found is None:
            return Channels(), None
        content, version = found
        return references.channels_of(content, f"{self._bucket.address}/{_CHANNELS}"), version

    def _names(self) -> tuple[str, ...]:
        found = map(_MANIFEST.match, self._bucket.paths("bundles"))
        return tuple(sorted(match[1] for match in found if match))

    def _manifest_bytes(self, name: str) -> bytes:
        found = self._bucket.read(f"bundles/{name}/{MANIFEST_FILE}")
        if found is None:
            raise CorruptBundleError(name, MANIFEST_FILE, "missing")
        return found[0]

    def _manifest(self, name: str) -> Manifest:
        return _manifest_of(name, self._manifest_bytes(name))

    def _info(self, name: str) -> BundleInfo:
        try:
            return BundleInfo(name, self._manifest(name), None)
        except BundleError as error:
            return BundleInfo(name, None, str(error))

    def _upload(self, bundle: BundleRef) -> None:
        def put(file: str) -> None:
            self._bucket.put(f"bundles/{bundle.name}/{file}", bundle.path / file)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(put, Manifest.read(bundle.path).files):
                pass
        put(MANIFEST_FILE)

    def _download(self, name: str) -> None:
        manifest = self._manifest_bytes(name)

        def fetch(file: str) -> None:
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            if not self._bucket.download(f"bundles/{name}/{file}", target):
                raise CorruptBundleError(name, file, "missing")

        with staging_folder(self._cache) as folder:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                for _ in pool.map(fetch, _manifest_of(name, manifest).files):
                    pass
            (folder / MANIFEST_FILE).write_bytes(manifest)
            open_bundle(folder, feature_schema=None)  # verifies every byte
            folder.rename(self._cache / name)
        sync_file(self._cache)

    def _forget(self, *, but: str) -> None:
        """Remove what was asked for longest ago; who has it open keeps it, for files live until closed."""
        kept = [path for path in self._cache.iterdir() if re.match(NAME_PATTERN, path.name)]
        for path in sorted(kept, key=lambda path: -path.stat().st_mtime)[self._n_kept :]:
            if path.name != but:
                shutil.rmtree(path, ignore_errors=True)


def _manifest_of(name: str, content: bytes) -> Manifest:
    manifest = Manifest.parse(name, content)
    if manifest.name != name:
        raise CorruptBundleError(name, MANIFEST_FILE, f"belongs to bundle {manifest.name}")
    return manifest
