"""What all registries do alike, wherever they keep bundles and channels."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from recsys.core.errors import BundleError, ConflictError, CorruptBundleError, FieldError, NotFoundError
from recsys.registry import channels as moves
from recsys.registry.channels import CHANNELS, Channels
from recsys.registry.manifest import MANIFEST_FILE, Manifest
from recsys.registry.store import BundleInfo


class NamedBundles(ABC):
    """Bundles under their names, and channels that name them; where they are, is for others to say."""

    @abstractmethod
    def channels(self) -> Channels:
        """Return what the channels name now, and their history.

        Raises:
            DataFormatError: they were changed by hand and cannot be used.
        """

    @abstractmethod
    def _names(self) -> Sequence[str]:
        """Return the names of all bundles, sorted."""

    @abstractmethod
    def _read_manifest(self, name: str) -> Manifest:
        """Read and check the manifest of a bundle."""

    @abstractmethod
    def _remove(self, name: str) -> None:
        """Remove a bundle; what is left after a crash is no bundle any more."""

    @abstractmethod
    def _change(self, change: Callable[[Channels], Channels]) -> Channels:
        """Change the channels as they are now, whatever others do meanwhile; return them changed."""

    def resolve(self, ref: str) -> str:
        """Return the full name of the bundle that ``ref`` means: a channel, a name, or the beginning of one.

        Raises:
            NotFoundError: there is no such bundle, or the channel names none.
            FieldError: several bundles begin with ``ref``.
        """
        return _resolved(ref, self._names(), self.channels)

    def list(self) -> list[BundleInfo]:
        """Return all bundles, the newest first, those that cannot be read at the end."""
        infos = self._infos(self._names())
        return sorted(infos, key=lambda info: -(info.manifest.created_s if info.manifest else -1.0))

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

    def remove(self, ref: str) -> str:
        """Remove a bundle that no channel names; who has it open keeps it. Return its name.

        Raises:
            ConflictError: a channel names it.
            FieldError: several bundles begin with ``ref``.
            NotFoundError: there is no such bundle.
        """
        bundle = self.resolve(ref)
        if naming := self.channels().naming(bundle):
            raise ConflictError(f"bundle {bundle}", "one that no channel names", f"it in {', '.join(naming)}")
        self._remove(bundle)
        return bundle

    def _infos(self, names: Sequence[str]) -> Sequence[BundleInfo]:
        return [self._info(name) for name in names]

    def _info(self, name: str) -> BundleInfo:
        try:
            return BundleInfo(name, self._manifest(name), None)
        except BundleError as error:
            return BundleInfo(name, None, str(error))

    def _manifest(self, name: str) -> Manifest:
        manifest = self._read_manifest(name)
        if manifest.name != name:
            raise CorruptBundleError(name, MANIFEST_FILE, f"belongs to bundle {manifest.name}")
        return manifest


def _resolved(ref: str, names: Sequence[str], channels: Callable[[], Channels]) -> str:
    for channel in CHANNELS:
        if ref == channel:
            return _in_channel(channels().named_by(channel), channel, names)
    found = [name for name in names if ref and name.startswith(ref)]
    if not found:
        raise NotFoundError("bundle", ref, ", ".join((*CHANNELS, *names)))
    if len(found) > 1:
        raise FieldError("bundle", repr(ref), f"more digits, to tell {' and '.join(found)} apart")
    return found[0]


def _in_channel(name: str | None, channel: str, names: Sequence[str]) -> str:
    if name is None:
        raise NotFoundError("bundle in channel", channel)
    if name not in names:
        raise NotFoundError("bundle", name, ", ".join(names))
    return name
