"""The values that one setting may take in a sweep."""

from typing import Annotated, Self

from pydantic import Discriminator, Field, Tag, model_validator

from recsys.core.settings import FrozenModel
from tuning.settings_paths import Setting


class Between(FrozenModel):
    """Numbers from ``low`` to ``high``, both among them; whole ones where the setting is one."""

    low: int | float
    """The least."""

    high: int | float
    """The most."""

    log: bool = False
    """Every doubling is as likely as the next: for settings that span powers of ten."""

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low must be below high, got {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"with log = true, low must be above 0, got {self.low}")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether both ends are whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self) -> tuple[Setting, ...]:
        """Values that must be possible, if all between them are to be."""
        return (self.low, self.high)

    def suits(self, now: Setting) -> bool:
        """Return whether a setting that has the value ``now`` is a number of this kind."""
        if isinstance(now, bool | str):
            return False
        return self.is_whole or not isinstance(now, int)

    def holds(self, value: Setting) -> bool:
        """Return whether the value lies between the ends."""
        return isinstance(value, int | float) and self.low <= value <= self.high


class Choices(FrozenModel):
    """One of a few values."""

    choices: tuple[bool | int | float | str, ...] = Field(min_length=2)
    """All of them, in any order."""

    @property
    def ends(self) -> tuple[Setting, ...]:
        """Values that must be possible: each."""
        return self.choices

    def holds(self, value: Setting) -> bool:
        """Return whether the value is one of these."""
        return value in self.choices


def _kind(given: object) -> str:
    is_choice = isinstance(given, Choices) or (isinstance(given, dict) and "choices" in given)
    return "choices" if is_choice else "between"


Range = Annotated[
    Annotated[Choices, Tag("choices")] | Annotated[Between, Tag("between")], Discriminator(_kind)
]
"""``{low = 20, high = 400, log = true}`` or ``{choices = ["binary:logistic", "rank:ndcg"]}``."""

Space = dict[str, Range]
"""Ranges by dotted path into the settings."""
