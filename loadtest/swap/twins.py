"""Bundles that differ in name alone, so that whatever a swap costs is the swap's own doing."""

import shutil
from pathlib import Path

from recsys.registry.bundle import BundleWriter
from recsys.registry.local import LocalRegistry
from recsys.registry.manifest import Manifest

_EXTRA = "twin"


def twin_registry(bundle: Path, folder: Path, n: int, *, now_s: float) -> tuple[str, ...]:
    """Make a registry of ``n`` twins of a bundle, the first in channel stable; return their names.

    Args:
        bundle: folder of a bundle.
        folder: of the new registry.
        n: how many; replicas keep two, so with three each swap loads one.
        now_s: Unix time.
    """
    registry = LocalRegistry(folder)
    names = tuple(twin_of(bundle, registry, number, now_s=now_s) for number in range(n))
    registry.promote(names[0], "stable", expected=None, by="marquee swaps", now_s=now_s)
    return names


def twin_of(bundle: Path, registry: LocalRegistry, number: int, *, now_s: float) -> str:
    """Publish a twin of a bundle; return its name, which depends on ``number`` and ``now_s``.

    Args:
        bundle: folder of a bundle.
        registry: where the twin goes.
        number: tells twins apart.
        now_s: Unix time.
    """
    manifest = Manifest.read(bundle)

    def fill(writer: BundleWriter) -> None:
        for name in manifest.files:
            shutil.copyfile(bundle / name, writer.path(name))
        writer.json(_EXTRA, number)

    published = registry.publish(
        fill, feature_schema=manifest.feature_schema, created_s=now_s, meta={"twin": number}
    )
    return published.name
