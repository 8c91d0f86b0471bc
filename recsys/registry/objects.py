"""The registry in a bucket, laid out as one in a folder.

A bundle is there once its manifest is, which is uploaded last. Channels are changed by compare-and-swap on
the object's tag. What is asked for is downloaded into a folder of this machine, verified, and kept: processes
share its pages, and a bundle that was loaded once can be loaded again while the bucket is away.
"""

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from recsys.core.bucket import Bucket
from recsys.core.durable import locked, sync_file
from recsys.core.errors import ConflictError, CorruptBundleError
from recsys.registry.bundle import BundleWriter
from recsys.registry.channels import Channels, channels_of, to_bytes
from recsys.registry.manifest import MANIFEST_FILE, NAME_PATTERN, Manifest
from recsys.registry.named import NamedBundles
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


class ObjectRegistry(NamedBundles):
    """A :class:`~recsys.registry.store.Registry` in a bucket.

    Every method raises UnavailableError when the bucket cannot be reached or refuses.

    Args:
        address: see :class:`~recsys.core.bucket.Bucket`.
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

    def channels(self) -> Channels:
        """Return what the channels name now; see :class:`~recsys.registry.named.NamedBundles`."""
        return self._versioned_channels()[0]

    def _change(self, change: Callable[[Channels], Channels]) -> Channels:
        for _ in range(_TRIES):
            before, version = self._versioned_channels()
            after = change(before)
            if after is before or self._bucket.swap(_CHANNELS, to_bytes(after), version):
                return after
        raise ConflictError("channels", "a moment without other changes", f"{_TRIES} changes by others")

    def _versioned_channels(self) -> "tuple[Channels, UpdateVersion | None]":
        found = self._bucket.read(_CHANNELS)
        if found is None:
            return Channels(), None
        content, version = found
        return channels_of(content, f"{self._bucket.address}/{_CHANNELS}"), version

    def _names(self) -> tuple[str, ...]:
        found = map(_MANIFEST.match, self._bucket.paths("bundles"))
        return tuple(sorted(match[1] for match in found if match))

    def _remove(self, name: str) -> None:
        self._bucket.delete([f"bundles/{name}/{MANIFEST_FILE}"])  # from here on it is none
        self._bucket.delete(self._bucket.paths(f"bundles/{name}"))
        shutil.rmtree(self._cache / name, ignore_errors=True)

    def _manifest_bytes(self, name: str) -> bytes:
        found = self._bucket.read(f"bundles/{name}/{MANIFEST_FILE}")
        if found is None:
            raise CorruptBundleError(name, MANIFEST_FILE, "missing")
        return found[0]

    def _read_manifest(self, name: str) -> Manifest:
        return Manifest.parse(name, self._manifest_bytes(name))

    def _infos(self, names: Sequence[str]) -> Sequence[BundleInfo]:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return [*pool.map(self._info, names)]

    def _upload(self, bundle: BundleRef) -> None:
        def put(file: str) -> None:
            self._bucket.put(f"bundles/{bundle.name}/{file}", bundle.path / file)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(put, Manifest.read(bundle.path).files):
                pass
        put(MANIFEST_FILE)

    def _download(self, name: str) -> None:
        def fetch(file: str) -> None:
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            if not self._bucket.download(f"bundles/{name}/{file}", target):
                raise CorruptBundleError(name, file, "missing")

        with staging_folder(self._cache) as folder:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                for _ in pool.map(fetch, self._manifest(name).files):
                    pass
            (folder / MANIFEST_FILE).write_bytes(self._manifest_bytes(name))
            open_bundle(folder, feature_schema=None)  # verifies every byte
            folder.rename(self._cache / name)
        sync_file(self._cache)

    def _forget(self, *, but: str) -> None:
        """Remove what was asked for longest ago; who has it open keeps it, for files live until closed."""
        kept = [path for path in self._cache.iterdir() if re.match(NAME_PATTERN, path.name)]
        for path in sorted(kept, key=lambda path: -path.stat().st_mtime)[self._n_kept :]:
            if path.name != but:
                shutil.rmtree(path, ignore_errors=True)
