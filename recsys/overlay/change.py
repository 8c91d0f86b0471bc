"""A change of the catalogue: an item as it is from some moment on, or that it is gone."""

from typing import Annotated

from pydantic import Field

from recsys.core.settings import FrozenModel

Row = dict[str, object]
"""Fields of :data:`recsys.data.schema.ITEMS`, and ``since_s``."""

_Finite = Annotated[float, Field(allow_inf_nan=False)]


class ItemChange(FrozenModel):
    """An item as :data:`recsys.data.schema.ITEMS` has it."""

    item_id: Annotated[str, Field(min_length=1)]
    title: str | None = None
    tags: list[str] = Field(default_factory=list)
    creator_id: str | None = None
    duration_s: _Finite | None = None
    published_s: _Finite | None = None
    cost: _Finite | None = None
    available: bool = True
    since_s: _Finite | None = None
    """Unix time from which this holds; when it reached the broker, if nobody says."""

    def dated(self, came_s: float) -> "ItemChange":
        """Return it with ``since_s``: ``came_s`` (Unix time) when it does not say itself."""
        return self if self.since_s is not None else self.model_copy(update={"since_s": came_s})
