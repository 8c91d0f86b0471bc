"""The base of every setting: closed, frozen, explained under each field."""

from collections.abc import Callable
from pathlib import Path

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from recsys.core.errors import FieldError


class FrozenModel(BaseModel):
    """A setting that cannot change after reading and rejects keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def checked_by(check: Callable[[str], str]) -> AfterValidator:
    """Return what lets pydantic refuse, in our words, what ``check`` refuses with a FieldError."""

    def checked(text: str) -> str:
        try:
            return check(text)
        except FieldError as error:
            raise ValueError(f"got {error.got}; expected {error.expected}") from error

    return AfterValidator(checked)


def first_fault(error: ValidationError, whole: str) -> str:
    """Return the first thing that pydantic refused: where, and what it says; nothing of what was given.

    Args:
        error: what it raised.
        whole: how to call it where no field is at fault.
    """
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(step) for step in first['loc']) or whole}: {first['msg']}"


PATH_TOO = BeforeValidator(lambda given: str(given) if isinstance(given, Path) else given)
"""Lets pydantic take a path for text."""
