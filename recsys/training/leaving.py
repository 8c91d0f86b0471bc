"""People who leave, on the side of the models.

What a person did is in two places: in the sums that recall is refreshed from, and in every bundle that was
made before. It is subtracted from the sums at once. A bundle cannot be changed; the next refresh makes one
without the person, and those made before are named until nobody needs them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from recsys.recall.counted import COUNTED_SCHEMA, Counted, n_in_saved, saved_config, without_users
from recsys.registry.channels import CHANNELS
from recsys.registry.reader import FolderBundleReader, open_bundle
from recsys.registry.store import Registry
from recsys.training.kept_sums import bundle_of, keep_sums, kept_sums


@dataclass(frozen=True, slots=True)
class Subtracted:
    """What was taken out of kept sums."""

    sums: str  # their name now
    before: str  # the name under which they are no more; the same when nobody was in them
    bundle: str  # whose sums they are
    n_users: int  # how many of those who leave were in them


def subtract(store: Registry, user_ids: Sequence[str], *, now_s: float) -> list[Subtracted]:
    """Take people out of all kept sums; done again, it changes nothing.

    What they were is removed only when what they are now is there, so a crash loses neither: do it again.

    Args:
        store: see :func:`recsys.training.kept_sums.open_sums`.
        user_ids: as they stood in the data.
        now_s: Unix time.

    Raises:
        BundleError: kept sums cannot be read; remove them, and the next refresh counts everything.
    """
    return [_subtract(store, info.name, bundle_of(info), user_ids, now_s) for info in kept_sums(store)]


def users_in_sums(store: Registry, user_ids: Sequence[str]) -> dict[str, int]:
    """Return the kept sums that hold some of these users, each with how many."""
    counts = {info.name: n_in_saved(_opened(store, info.name), user_ids) for info in kept_sums(store)}
    return {name: n_users for name, n_users in counts.items() if n_users}


def bundles_before(registry: Registry, at_s: float) -> dict[str, tuple[str, ...]]:
    """Return the bundles that were made before a moment, the newest first, each with the channels naming it.

    Whoever left at that moment may be in any of them, without a name: in counts, and in passages of lives.
    ``registry.remove`` ends those that no channel names. Of a bundle that cannot be read nobody knows when it
    was made, so it is among them.
    """
    channels = registry.channels()
    return {
        info.name: tuple(channel for channel in CHANNELS if channels.named_by(channel) == info.name)
        for info in registry.list()
        if info.manifest is None or info.manifest.created_s < at_s
    }


def _subtract(store: Registry, name: str, bundle: str, user_ids: Sequence[str], now_s: float) -> Subtracted:
    reader = _opened(store, name)
    if not n_in_saved(reader, user_ids):
        return Subtracted(name, name, bundle, 0)
    config = saved_config(reader)
    others, n_gone = without_users(Counted.load(reader, config), user_ids, config)
    now = keep_sums(store, others, config, bundle=bundle, now_s=now_s)
    store.remove(name)
    return Subtracted(now, name, bundle, n_gone)


def _opened(store: Registry, name: str) -> FolderBundleReader:
    return open_bundle(store.get(name), feature_schema=COUNTED_SCHEMA)
