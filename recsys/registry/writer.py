"""Writing a bundle: all of it or nothing, whatever happens meanwhile.

Everything goes into a temporary folder beside the target, each file and folder is synced, the manifest comes
last, and one rename makes it a bundle. What a killed writer leaves is swept by the next one.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue, ValidationError

from recsys.core.durable import sync_file
from recsys.core.errors import BundleError, FieldError
from recsys.core.hashing import digest_file
from recsys.registry.bundle import BundleWriter
from recsys.registry.manifest import MANIFEST_FILE, FileEntry, Manifest, name_of
from recsys.registry.reader import files_in, open_bundle
from recsys.registry.staging import staging_folder


@dataclass(frozen=True, slots=True)
class BundleRef:
    """A bundle that is there."""

    name: str  # 16 hex digits
    path: Path
    is_new: bool  # False when equal content was there already and nothing was written


class FolderBundleWriter:
    """Writes the parts of a bundle into one folder; :func:`write_bundle` makes one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def array(self, name: str, values: NDArray[Any]) -> None:
        """Write an array as ``<name>.npy``, rows first.

        Raises:
            FieldError: it was written before, or it holds Python objects (a bundle never holds pickles).
        """
        if values.dtype.hasobject:
            raise FieldError(
                f"bundle file {name}.npy", f"dtype {values.dtype}", "numbers, booleans or fixed text"
            )
        with self._new(f"{name}.npy").open("xb") as file:
            np.save(file, np.asarray(values, order="C"), allow_pickle=False)

    def json(self, name: str, value: object) -> None:
        """Write ``<name>.json`` with sorted keys.

        Raises:
            FieldError: it was written before, or the value is not JSON (NaN and infinities are not).
        """
        try:
            text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
            data = text.encode() + b"\n"
        except (TypeError, ValueError) as error:
            raise FieldError(f"bundle file {name}.json", str(error), "a JSON value") from error
        self._new(f"{name}.json").write_bytes(data)

    def path(self, name: str) -> Path:
        """Return where a file called ``name`` belongs, its folders made; the caller writes and closes it.

        Raises:
            FieldError: the name leads out of the bundle, or is that of the manifest.
        """
        parts = PurePosixPath(name).parts
        if not parts or name != "/".join(parts) or parts[0] == "/" or ".." in parts or name == MANIFEST_FILE:
            raise FieldError("bundle file", repr(name), "a relative path inside the bundle")
        path = self._folder.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _new(self, name: str) -> Path:
        path = self.path(name)
        if path.exists():
            raise FieldError("bundle file", repr(name), "a name that is written once")
        return path


def write_bundle(
    root: Path,
    fill: Callable[[BundleWriter], None],
    *,
    feature_schema: str,
    created_s: float,
    meta: Mapping[str, JsonValue],
) -> BundleRef:
    """Write a bundle into ``root``, where it gets the name of its content.

    Args:
        root: the folder of bundles; made when missing.
        fill: writes every part through the writer it is given; when it raises, nothing stays.
        feature_schema: digest of the features that the ranker was trained on.
        created_s: now, Unix time.
        meta: free, for people and reports: data, metrics, settings, measured index recall.

    Returns:
        Where it is. When equal content is there already, that one, with its own ``created_s`` and ``meta``;
        should it turn out damaged, it is replaced.

    Raises:
        FieldError: a part cannot be kept, or ``meta`` is not JSON.
    """
    root.mkdir(parents=True, exist_ok=True)
    with staging_folder(root) as folder:
        fill(FolderBundleWriter(folder))
        files = _seal_files(folder)
        name = name_of(feature_schema, files)
        data = _manifest_bytes(
            name=name, feature_schema=feature_schema, created_s=created_s, meta=dict(meta), files=files
        )
        (folder / MANIFEST_FILE).write_bytes(data)
        sync_file(folder / MANIFEST_FILE)
        sync_file(folder)
        return BundleRef(name, root / name, is_new=_move_in(folder, root / name))


def _manifest_bytes(**fields: object) -> bytes:
    try:
        return Manifest.model_validate(fields).to_bytes()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise FieldError(where, repr(first["input"])[:80], first["msg"]) from error
    except ValueError as error:
        raise FieldError("meta", str(error), "JSON values") from error


def _seal_files(folder: Path) -> dict[str, FileEntry]:
    entries = {}
    for name, path in files_in(folder).items():
        if path.is_symlink() or not path.is_file():
            raise FieldError("bundle file", repr(name), "a regular file")
        sync_file(path)
        entries[name] = FileEntry(bytes=path.stat().st_size, sha256=digest_file(path))
    for inner, _, _ in os.walk(folder, topdown=False):
        sync_file(Path(inner))
    return entries


def _move_in(folder: Path, target: Path) -> bool:
    """Rename ``folder`` to ``target``; False when an equal bundle is there, undamaged."""
    while True:
        try:
            folder.rename(target)
        except OSError:
            if not target.is_dir():
                raise
        else:
            sync_file(target.parent)
            return True
        try:
            open_bundle(target, feature_schema=None)
        except BundleError:
            target.rename(folder.with_name("damaged"))  # removed together with the staging folder
        else:
            return False
