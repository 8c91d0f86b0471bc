"""What was made of the wishes in Helm's values: a part of the traffic document, so no crash forgets it."""

from recsys.core.settings import FrozenModel

MOST_TAKEN_BACK = 50


class Asked(FrozenModel):
    """Which requests were acted on; :func:`~recsys.rollout.wanted.request_of` names them."""

    request: str | None = None
    """The latest that was acted on; the same one asks for nothing any more. None: any asks anew."""
    taken_back: tuple[str, ...] = ()
    """Those whose bundle was taken back, the latest :data:`MOST_TAKEN_BACK`: never tried again."""

    def acted_on(self, request: str | None) -> "Asked":
        """Return it with another latest request."""
        return Asked(request=request, taken_back=self.taken_back)

    def judged(self, request: str | None) -> "Asked":
        """Return it with a request that came to nothing; as it is for a rollout that a person started."""
        if request is None or request in self.taken_back:
            return self
        return Asked(request=self.request, taken_back=(*self.taken_back, request)[-MOST_TAKEN_BACK:])
