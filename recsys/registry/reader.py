"""Reading a bundle: every digest is verified before anything is handed out."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import CorruptBundleError, IncompatibleBundleError
from recsys.core.hashing import digest_file
from recsys.registry.manifest import MANIFEST_FILE, FileEntry, Manifest

_HASHING_THREADS = 2


class FolderBundleReader:
    """A bundle in a folder, verified; only :func:`open_bundle` makes one."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._folder = folder
        self.manifest = manifest

    @property
    def name(self) -> str:
        """The bundle's name: 16 hex digits."""
        return self.manifest.name

    def array(self, name: str) -> NDArray[Any]:
        """Return ``<name>.npy``, memory-mapped and read-only, so that processes on a machine share its pages.

        Raises:
            CorruptBundleError: the manifest does not list it, or it is no array (pickles are never loaded).
        """
        path = self.path(f"{name}.npy")
        try:
            mapped: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except ValueError as error:
            raise CorruptBundleError(self.name, f"{name}.npy", f"not an array ({error})") from error
        return np.asarray(mapped)  # a plain view of the same pages: slicing a memmap object costs 10 us

    def json(self, name: str) -> Any:  # noqa: ANN401 - JSON is whatever was written
        """Return the value of ``<name>.json``.

        Raises:
            CorruptBundleError: the manifest does not list it, or it is not JSON.
        """
        try:
            return json.loads(self.path(f"{name}.json").read_bytes())
        except ValueError as error:
            raise CorruptBundleError(self.name, f"{name}.json", f"not JSON ({error})") from error

    def path(self, name: str) -> Path:
        """Return the path of a verified file.

        Raises:
            CorruptBundleError: the manifest does not list it.
        """
        if name not in self.manifest.files:
            raise CorruptBundleError(self.name, name, "missing: the manifest does not list it")
        return self._folder / name


def open_bundle(path: Path, *, feature_schema: str | None) -> FolderBundleReader:
    """Verify the bundle in the folder ``path``, every byte of it, and open it.

    Args:
        path: the bundle's folder; what the folder is called does not matter here.
        feature_schema: digest of the features that this program computes; None accepts any.

    Raises:
        CorruptBundleError: a file is missing, has another size or digest, or is there without being listed.
        IncompatibleBundleError: another version of the format, or another feature schema.
    """
    manifest = Manifest.read(path)
    if feature_schema not in {None, manifest.feature_schema}:
        reason = f"feature schema {manifest.feature_schema}; this program computes {feature_schema}"
        raise IncompatibleBundleError(manifest.name, MANIFEST_FILE, reason)
    _verify(path, manifest)
    return FolderBundleReader(path, manifest)


def files_in(folder: Path) -> dict[str, Path]:
    """Return everything below ``folder`` but true folders, by its name inside, in order of the names."""
    found = (Path(inner) / name for inner, folders, names in os.walk(folder) for name in [*folders, *names])
    named = (
        (path.relative_to(folder).as_posix(), path)
        for path in found
        if path.is_symlink() or not path.is_dir()
    )
    return dict(sorted(named))


def _verify(folder: Path, manifest: Manifest) -> None:
    """Refuse the first file that is wrong; cheap checks of all files come before the digests."""
    there = files_in(folder)
    there.pop(MANIFEST_FILE, None)
    for name in sorted(there.keys() - manifest.files.keys()):
        raise CorruptBundleError(manifest.name, name, "not listed in the manifest")
    for name, entry in sorted(manifest.files.items()):
        _check_size(manifest.name, name, there.get(name), entry)
    with ThreadPoolExecutor(_HASHING_THREADS) as pool:
        for name, digest in zip(there, pool.map(digest_file, there.values()), strict=True):
            if digest != manifest.files[name].sha256:
                raise CorruptBundleError(manifest.name, name, "differs from its digest")


def _check_size(bundle: str, name: str, path: Path | None, entry: FileEntry) -> None:
    if path is None:
        raise CorruptBundleError(bundle, name, "missing")
    if path.is_symlink() or not path.is_file():
        raise CorruptBundleError(bundle, name, "not a regular file")
    if (found := path.stat().st_size) != entry.bytes:
        raise CorruptBundleError(bundle, name, f"{found} bytes; the manifest says {entry.bytes}")
