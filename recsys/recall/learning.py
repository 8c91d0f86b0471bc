"""Learns vectors of items so that the item which came next is likely among all that could have come.

Every position of every user is a question; its loss is ``-log softmax`` of the item that came, over that
item, a draw of others and the answers of the step's other questions, each with its log odds to be drawn
taken off its score (so that popular items, drawn often, are not pushed down too far). Items that the user
had had before are no wrong answers: they are never named. Parts of a history are hidden at random, which
keeps the vectors from learning single lives by heart. Steps are those of AdamW.

Source: sampled softmax, Bengio and Senecal 2008, with the correction of Yi et al., "Sampling-Bias-Corrected
Neural Modeling", RecSys 2019; hidden parts of the input, Vincent et al. 2008; AdamW, Loshchilov and Hutter
2019.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from recsys.core.settings import FrozenModel
from recsys.core.threads import end_if_left
from recsys.features.users import NO_ITEM
from recsys.recall.adamw import Parameter
from recsys.recall.choice_loss import add_histories, choice_gradient, histories_at, spread_to_histories

_START = 0.05  # standard deviation of the first vectors

Rows = NDArray[np.int32]
Floats = NDArray[np.float32]


class LearningConfig(FrozenModel):
    """How the vectors are learned."""

    n_dimensions: PositiveInt = 64
    """Of an item's vectors."""

    n_epochs: PositiveInt = 10
    """How often every position is asked."""

    max_questions: PositiveInt = 5_000_000
    """Learning ends after so many questions: fewer epochs of a large log, a part of a very large one."""

    questions_per_step: PositiveInt = 512
    """Questions between two steps."""

    learning_rate: PositiveFloat = 2e-3
    """Of the first full step; it falls evenly to a tenth."""

    warm_up_steps: NonNegativeInt = 100
    """Steps over which the rate rises to its full size."""

    weight_decay: NonNegativeFloat = 0.5
    """Of AdamW, per unit of the rate."""

    p_hidden: float = Field(default=0.3, ge=0.0, lt=1.0)
    """Chance of each item of a history to be hidden from one question."""

    n_negatives: PositiveInt = 250
    """Items drawn per step to be told from the answers; where there are not many more, all items are."""

    popularity_exponent: NonNegativeFloat = 0.75
    """They are drawn in proportion to their events to this power."""


@dataclass(frozen=True, slots=True)
class ChoiceVectors:
    """What is learned; the log odds of an item are ``user . right + bias``, up to a constant."""

    left: Floats  # shape (sums, items, dimensions): a user is the weighted sum of those of the history
    right: Floats  # shape (items, dimensions)
    bias: Floats  # shape (items,)


@dataclass(frozen=True, slots=True)
class Draw:
    """Draws the items that the answers of a step are told from."""

    popularity: NDArray[np.float64]  # shape (items,), sums to 1
    odds: NDArray[np.float64]  # shape (items,), sums to 1: of one draw
    n_drawn: int

    @classmethod
    def of(cls, counts: NDArray[np.intp], config: LearningConfig) -> "Draw":
        """Prepare draws of items that have so many events each."""
        powered = counts.astype(np.float64) ** config.popularity_exponent
        return cls(counts / max(1, counts.sum()), powered / max(1.0, powered.sum()), config.n_negatives)

    def columns(self, answers: Rows, rng: np.random.Generator) -> tuple[NDArray[np.intp], Floats]:
        """Return the items of a step, rising, and for each the log of its chance to be among them."""
        n_items = len(self.odds)
        if n_items <= 2 * self.n_drawn:  # then all of them cost no more
            return np.arange(n_items), np.zeros(n_items, dtype=np.float32)
        columns = np.union1d(rng.choice(n_items, self.n_drawn, p=self.odds), answers)
        log_absent = self.n_drawn * np.log1p(-self.odds[columns])
        log_absent += len(answers) * np.log1p(-self.popularity[columns])
        return columns, np.log(-np.expm1(log_absent)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Learner:
    """The vectors as they stand, and what a step needs."""

    left: Parameter
    right: Parameter
    bias: Parameter
    decays: Floats
    draw: Draw
    config: LearningConfig

    @classmethod
    def starting(
        cls, counts: NDArray[np.intp], decays: Floats, config: LearningConfig, rng: np.random.Generator
    ) -> "_Learner":
        """Start with small random vectors, and with popularity as the bias."""
        n_items, size, decay = len(counts), config.n_dimensions, config.weight_decay
        left = Parameter.starting_at(rng.normal(0.0, _START, (len(decays), n_items, size)), decay)
        right = Parameter.starting_at(rng.normal(0.0, _START, (n_items, size)), decay)
        log_odds = np.log((counts + 0.5) / max(1, counts.sum()))
        bias = Parameter.starting_at(log_odds - log_odds.mean() if n_items else log_odds, 0.0)
        return cls(left, right, bias, decays, Draw.of(counts, config), config)

    def step(
        self, histories: Rows, answers: Rows, rng: np.random.Generator, number: int, rate: float
    ) -> None:
        """Learn from questions: what was chosen before each, shape (questions, length), and what came."""
        hidden = rng.random(histories.shape, dtype=np.float32) < self.config.p_hidden
        read = np.where(hidden, np.int32(NO_ITEM), histories)
        users = np.zeros((len(answers), self.config.n_dimensions), dtype=np.float32)
        add_histories(read, self.decays, self.left.values, users)
        columns, log_chances = self.draw.columns(answers, rng)
        right = self.right.values[columns]
        scores = users @ right.T + (self.bias.values[columns] - log_chances)
        column_of = np.full(len(self.right.values), NO_ITEM, dtype=np.int32)
        column_of[columns] = np.arange(len(columns), dtype=np.int32)
        choice_gradient(scores, histories, column_of[answers], column_of)  # scores are their gradient now
        self.right.gradient[columns] += scores.T @ users
        self.bias.gradient[columns] += scores.sum(axis=0)
        spread_to_histories(read, self.decays, scores @ right, self.left.gradient)
        for part in (self.left, self.right, self.bias):
            part.step(number, rate)


def learn_choices(
    item_rows: Rows,
    offsets: NDArray[np.int64],
    n_items: int,
    decays: Floats,
    config: LearningConfig,
    *,
    seed: int = 0,
) -> ChoiceVectors:
    """Learn from every position that has another one before it.

    Args:
        item_rows: shape (positions,), each user's items from old to new, NO_ITEM for those that take no part.
        offsets: shape (users + 1,), user ``u`` owns the positions ``offsets[u]:offsets[u + 1]``.
        n_items: how many items take part.
        decays: shape (sums, length), the weight of a history's places in each sum, 0.0 where one is not
            read, the latest place first.
        config: sizes and steps.
        seed: of the start, the order of the questions and every draw.
    """
    rng = np.random.default_rng(seed)
    starts = np.repeat(offsets[:-1], np.diff(offsets))
    asked = np.flatnonzero((item_rows != NO_ITEM) & (np.arange(len(item_rows)) > starts))
    counts = np.bincount(item_rows[item_rows != NO_ITEM], minlength=n_items)
    learner = _Learner.starting(counts, decays, config, rng)
    n_steps = -(-min(config.n_epochs * len(asked), config.max_questions) // config.questions_per_step)
    for number, stops in enumerate(_batches(asked, n_steps, config.questions_per_step, rng), start=1):
        end_if_left()
        histories = histories_at(item_rows, starts[stops], stops, decays.shape[1])
        learner.step(histories, item_rows[stops], rng, number, _rate(config, number, n_steps))
    return ChoiceVectors(learner.left.values, learner.right.values, learner.bias.values)


def _batches(
    asked: NDArray[np.intp], n_steps: int, size: int, rng: np.random.Generator
) -> Iterator[NDArray[np.intp]]:
    """Yield positions for each step; all have had their turn before any has another."""
    order = asked[:0]
    for _ in range(n_steps):
        if len(order) < size:
            order = np.concatenate([order, rng.permutation(asked)])
        yield order[:size]
        order = order[size:]


def _rate(config: LearningConfig, number: int, n_steps: int) -> float:
    warm = min(1.0, number / max(1, config.warm_up_steps))
    return config.learning_rate * warm * (1.0 - 0.9 * number / n_steps)
