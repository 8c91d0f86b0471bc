"""Settings of SASRec."""

from typing import Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from recsys.core.settings import FrozenModel
from recsys.features.users import HISTORY_LENGTH


class StepConfig(FrozenModel):
    """What one step of learning computes; each new one is compiled anew, which takes seconds."""

    dimensions: PositiveInt = 64
    """Of an item's embedding and of every layer."""

    n_blocks: PositiveInt = 2
    """Layers of attention."""

    n_heads: PositiveInt = 1
    """Parts that the dimensions are split into for attention."""

    dropout: float = Field(default=0.2, ge=0.0, lt=1.0)
    """Share of values that are left out while learning."""

    n_negatives: PositiveInt | None = 512
    """Items drawn per step that every target is compared with; absent: all items (full softmax)."""

    learning_rate: PositiveFloat = 1e-3
    """Of AdamW, after the warm-up."""

    warm_up_steps: NonNegativeInt = 100
    """Steps over which the rate rises to its full size."""

    weight_decay: NonNegativeFloat = 0.0
    """Of AdamW."""

    @model_validator(mode="after")
    def _splits_evenly(self) -> Self:
        if self.dimensions % self.n_heads:
            raise ValueError("dimensions must be a multiple of n_heads")
        return self


class SasrecConfig(FrozenModel):
    """How SASRec learns, and what it may cost."""

    step: StepConfig = StepConfig()
    """The network, its loss and its optimiser."""

    max_length: int = Field(default=HISTORY_LENGTH, ge=2, le=HISTORY_LENGTH)
    """Latest items that the network reads."""

    places_per_step: PositiveInt = 1_600
    """Places of histories per step. On a CPU many small steps learn more in a minute than few large ones."""

    max_scores_mb: PositiveFloat = 256.0
    """Fewer places per step where their scores would take more memory than this."""

    look_every_steps: PositiveInt = 250
    """Steps between two looks at the validation positions."""

    max_looks: PositiveInt = 300
    """Stop after so many looks."""

    patience_looks: PositiveInt = 8
    """Stop after so many looks without a better figure."""

    max_minutes: PositiveFloat = 20.0
    """Stop learning after this time, whatever the figures; then a result depends on the machine's speed."""

    seed: NonNegativeInt = 0
    """One seed, one result, unless the time ran out."""
