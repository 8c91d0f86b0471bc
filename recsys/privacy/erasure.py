"""Erasing a person from every place, and looking afterwards whether a byte stayed."""

from collections.abc import Mapping, Sequence

from recsys.core.clock import Clock
from recsys.privacy.names import Names
from recsys.privacy.places import Place
from recsys.privacy.proof import PlaceProof, Proof
from recsys.privacy.search import long_enough


def erase(
    names: Names, places: Sequence[Place], *, at_s: float, clock: Clock, bundles: Sequence[str] = ()
) -> Proof:
    """Erase a person from places, then search all of them; again at any time.

    Args:
        names: by which the person is known.
        places: gone through in this order.
        at_s: Unix time up to which everything goes.
        clock: Unix time.
        bundles: those that were made of what the person did.

    Raises:
        UnavailableError: a place cannot be reached or changed; those before it are done.
    """
    removed = [place.erase({names: at_s}) for place in places]
    left = [place.traces(names) for place in places]
    return Proof(
        person=names.digest,
        erased_until_s=at_s,
        finished_s=clock(),
        n_names=len({*names.inside, *names.shown}),
        searched_bytes_for=len(long_enough({*names.inside, *names.shown})),
        places=tuple(
            PlaceProof(place=place.name, address=place.address, removed=gone, left=found)
            for place, gone, found in zip(places, removed, left, strict=True)
        ),
        bundles=tuple(bundles),
        complete=not any(left),
    )


def search(names: Names, places: Sequence[Place]) -> Mapping[str, Mapping[str, int]]:
    """Return place -> where it names a person -> how many times; places that do not are left out."""
    found = {place.name: place.traces(names) for place in places}
    return {place: traces for place, traces in found.items() if traces}
