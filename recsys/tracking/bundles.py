"""What a tracking server is told of bundles: all of it stands in their manifests and in the channels."""

from collections.abc import Iterator
from math import isfinite

from recsys.core.json_tree import Leaf, leaves
from recsys.registry.channels import CHANNELS
from recsys.registry.manifest import Manifest
from recsys.registry.store import Registry
from recsys.tracking.run import Figure, How, Result, Run, Tracking, Version

_SETTINGS = "settings"


def tell_of_bundle(
    tracking: Tracking, registry: Registry, bundle: str, *, address: str, parent: str | None = None
) -> None:
    """Tell of a bundle as a run (its settings, its figures, its manifest) and as a version of the model.

    Args:
        tracking: who is told.
        registry: where the bundle is.
        bundle: its full name; nothing is told of one that cannot be read.
        address: of the registry, so that people find the content.
        parent: key of the run that searched for its settings.

    Raises:
        UnavailableError: tracking is down.
    """
    manifest = next((info.manifest for info in registry.list() if info.name == bundle), None)
    if manifest is not None:
        _tell(tracking, manifest, address, parent)


def tell_of_channels(tracking: Tracking, registry: Registry, *, address: str) -> None:
    """Let an alias follow each channel, for bundles too that nobody has told of before.

    Args:
        tracking: who is told.
        registry: whose channels.
        address: of the registry.

    Raises:
        UnavailableError: tracking is down.
    """
    channels = registry.channels()
    manifests = {info.name: info.manifest for info in registry.list()}
    named: dict[str, str | None] = {channel: channels.named_by(channel) for channel in CHANNELS}
    for bundle in sorted({bundle for bundle in named.values() if bundle is not None}):
        manifest = manifests.get(bundle)
        if manifest is not None:
            _tell(tracking, manifest, address, None)
    tracking.name(named)


def _tell(tracking: Tracking, manifest: Manifest, address: str, parent: str | None) -> None:
    key = f"bundle/{manifest.name}"
    settings = manifest.meta.get(_SETTINGS, {})
    facts = dict(leaves({name: value for name, value in manifest.meta.items() if name != _SETTINGS}))
    words = {f"marquee.{name}": text for name, text in facts.items() if isinstance(text, str)}
    tracking.begin(
        Run(
            key=key,
            name=f"bundle {manifest.name}",
            parent=parent,
            parameters=dict(leaves(settings)),
            tags=words,
        )
    )
    tracking.files(key, {"bundle/manifest.json": manifest.to_bytes().decode()})
    tags = {"marquee.registry": address, **words}
    tracking.register(Version(bundle=manifest.name, run=key, tags=tags))
    tracking.end(key, Result(how=How.FINISHED, figures=tuple(_figures(facts))))


def _figures(facts: dict[str, Leaf]) -> Iterator[Figure]:
    for name, value in facts.items():
        if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
            yield Figure(name, float(value))
