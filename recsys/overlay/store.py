"""Where the overlay lives, so that whoever writes it and whoever serves by it need not know each other."""

from collections.abc import Iterable, Sequence
from typing import Protocol, Self

from recsys.overlay.change import ItemChange
from recsys.overlay.overlay import Overlay, Put

PART = "catalogue overlay"


class OverlayStore(Protocol):
    """Keeps one overlay. Every method may raise UnavailableError: try again."""

    def put(self, changes: Sequence[ItemChange], accepted_s: Sequence[float]) -> list[Put]:
        """Put changes in, all at once; see :func:`recsys.overlay.overlay.put_into`."""
        ...

    def remove(self, item_ids: Iterable[str]) -> int:
        """Forget what is held of items (bundles say what they are like then); return of how many."""
        ...

    def read(self, known: Overlay) -> Overlay:
        """Return what is held now: ``known`` itself when nothing has changed, which costs next to nothing."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
