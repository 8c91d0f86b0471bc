"""The base of every setting: closed, frozen, explained under each field."""

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """A setting that cannot change after reading and rejects keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
