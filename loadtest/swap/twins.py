"""Two bundles that differ in name alone, so that whatever a swap costs is the swap's own doing."""

import shutil
from pathlib import Path

from recsys.registry.bundle import BundleWriter
from recsys.registry.local import LocalRegistry
from recsys.registry.manifest import Manifest

_EXTRA = "twin"


def twin_registry(bundle: Path, folder: Path, *, now_s: float) -> tuple[str, str]:
    """Make a registry with a bundle in channel stable and a twin of it; return both names.

    Args:
        bundle: folder of a bundle.
        folder: of the new registry.
        now_s: Unix time.
    """
    registry = LocalRegistry(folder)
    manifest = Manifest.read(bundle)

    def published(number: int) -> str:
        def fill(writer: BundleWriter) -> None:
            for name in manifest.files:
                shutil.copyfile(bundle / name, writer.path(name))
            writer.json(_EXTRA, number)

        return registry.publish(
            fill, feature_schema=manifest.feature_schema, created_s=now_s, meta={"twin": number}
        ).name

    first, second = published(1), published(2)
    registry.promote(first, "stable", expected=None, by="marquee swaps", now_s=now_s)
    return first, second
