"""Which bundle values mean."""

from recsys.registry.store import Registry
from recsys.rollout.traffic import TrafficDocument
from recsys.rollout.wanted import Wanted, candidate_of


def meant_bundle(
    wanted: Wanted, document: TrafficDocument | None, registry: Registry, controller: str
) -> str | None:
    """Return the full name of the bundle that is wanted; None when none in particular is.

    Args:
        wanted: in the values.
        document: in force; None: these are the first users.
        registry: where names are looked up; not asked about a full name that a lane has.
        controller: whose moves of the channel ``candidate`` are no wishes.

    Raises:
        NotFoundError: there is no such bundle.
        FieldError: there are several.
    """
    if document is None:
        return _first(wanted, registry)
    if wanted.bundle is None or wanted.only_first:
        return None
    if wanted.bundle == "candidate":
        return candidate_of(registry.channels(), controller=controller)
    if wanted.bundle in document.lanes.values():
        return wanted.bundle
    return registry.resolve(wanted.bundle)


def _first(wanted: Wanted, registry: Registry) -> str:
    """Return the first bundle that users get; a candidate comes only by a canary, if there can be one."""
    if wanted.bundle == "candidate" and registry.channels().stable is None:
        return registry.resolve("candidate")
    named = None if wanted.bundle == "candidate" else wanted.bundle
    return registry.resolve(named or "stable")
