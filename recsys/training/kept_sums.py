"""Where the sums of a bundle's recall are kept: in a registry of their own, beside that of the bundles.

``<registry>/statistics`` is laid out as any registry, so sums are written whole or not at all, verified when
read, and kept in a bucket like bundles. They are found by the bundle that they belong to, and are no part of
it: serving downloads what it needs.
"""

from pathlib import Path
from typing import Final

from pydantic import JsonValue

from recsys.core.errors import BundleError, FieldError
from recsys.recall.counted import COUNTED_SCHEMA, Counted
from recsys.recall.sequential import SequentialConfig
from recsys.registry.bundle import BundleWriter
from recsys.registry.channels import CHANNELS
from recsys.registry.open import open_registry
from recsys.registry.reader import open_bundle
from recsys.registry.store import BundleInfo, Registry

_FOLDER: Final = "statistics"


def open_sums(address: str | Path) -> Registry:
    """Open where the sums of the bundles of this registry are kept.

    Raises:
        FieldError: the address cannot be read.
    """
    return open_registry(f"{str(address).rstrip('/')}/{_FOLDER}")


def keep_sums(store: Registry, sums: Counted, config: SequentialConfig, *, bundle: str, now_s: float) -> str:
    """Keep the sums of a bundle; return the name that they have in the store."""

    def fill(writer: BundleWriter) -> None:
        sums.save(writer, config)
        writer.json("of", {"bundle": bundle})  # equal sums of two bundles are kept twice

    meta: dict[str, JsonValue] = {
        "bundle": bundle,
        "n_users": len(sums.lives.user_keys),
        "n_positions": len(sums.lives.days),
    }
    return store.publish(fill, feature_schema=COUNTED_SCHEMA, created_s=now_s, meta=meta).name


def sums_of(store: Registry, bundle: str, config: SequentialConfig) -> Counted | None:
    """Return the sums of a bundle; None when there are none that could be used, so that all is counted.

    What is damaged, of another version of the format or counted under other settings cannot be used.
    """
    names = [info.name for info in kept_sums(store) if bundle_of(info) == bundle]
    for name in names:
        try:
            return Counted.load(open_bundle(store.get(name), feature_schema=COUNTED_SCHEMA), config)
        except (BundleError, FieldError):
            continue
    return None


def kept_sums(store: Registry) -> list[BundleInfo]:
    """Return what is kept, the newest first."""
    return [info for info in store.list() if info.manifest is not None]


def tidy_sums(store: Registry, registry: Registry, *, newest: str) -> int:
    """Remove the sums of bundles that no channel names, but those of ``newest``.

    Returns:
        How many were removed.
    """
    channels = registry.channels()
    wanted = {newest, *(channels.named_by(channel) for channel in CHANNELS)}
    stale = [info.name for info in kept_sums(store) if bundle_of(info) not in wanted]
    for name in stale:
        store.remove(name)
    return len(stale)


def bundle_of(info: BundleInfo) -> str:
    """Return the bundle whose sums these are; empty when their manifest does not say."""
    return "" if info.manifest is None else str(info.manifest.meta.get("bundle", ""))
