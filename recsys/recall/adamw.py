"""Parameters that learn by AdamW: running means of the gradient and of its square, in place.

Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recsys.core.compiled import compiled

_MEAN: Final = np.float32(0.9)  # share of the mean that a step keeps
_SQUARE: Final = np.float32(0.999)  # likewise, of the mean of squares
_TINY: Final = np.float32(1e-8)

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Parameter:
    """Numbers that learn, the gradient that the next step follows, and what is remembered of past ones."""

    values: Floats
    gradient: Floats  # same shape; whoever computes a loss adds to it
    means: Floats
    squares: Floats
    decay: float  # share of a value that is lost in a step, per unit of the rate

    @classmethod
    def starting_at(cls, values: NDArray[np.float64], decay: float) -> "Parameter":
        """Return a parameter in single precision that has not learned yet."""
        start = np.ascontiguousarray(values, dtype=np.float32)
        return cls(start, np.zeros_like(start), np.zeros_like(start), np.zeros_like(start), decay)

    def step(self, number: int, rate: float) -> None:
        """Follow the gradient once, then forget it.

        Args:
            number: of the step, from 1: the first means are of few steps and are scaled up.
            rate: how far to go.
        """
        _step(
            self.values.reshape(-1),
            self.gradient.reshape(-1),
            self.means.reshape(-1),
            self.squares.reshape(-1),
            np.float32(rate / (1.0 - float(_MEAN) ** number)),
            np.float32(1.0 / (1.0 - float(_SQUARE) ** number)),
            np.float32(1.0 - rate * self.decay),
        )


@compiled
def _step(
    values: Floats,
    gradient: Floats,
    means: Floats,
    squares: Floats,
    rate: np.float32,
    scale: np.float32,
    kept: np.float32,
) -> None:
    rest, rest_of_squares = np.float32(1.0) - _MEAN, np.float32(1.0) - _SQUARE
    for place in range(len(values)):
        slope = gradient[place]
        means[place] = _MEAN * means[place] + rest * slope
        squares[place] = _SQUARE * squares[place] + rest_of_squares * slope * slope
        values[place] = kept * values[place] - rate * means[place] / (np.sqrt(scale * squares[place]) + _TINY)
        gradient[place] = np.float32(0.0)
