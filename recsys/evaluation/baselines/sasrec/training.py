"""Fit SASRec: step by step until validation positions say stop, or the time is up."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import polars as pl
from jax import Array
from numpy.typing import NDArray

from recsys.core.clock import Clock, monotonic_clock
from recsys.core.errors import UnavailableError
from recsys.data.log import InteractionLog
from recsys.evaluation.baselines.full_ranking import best_rows, chosen_scores, popularity_preference
from recsys.evaluation.baselines.sasrec.config import SasrecConfig, StepConfig
from recsys.evaluation.baselines.sasrec.network import Network, hidden_states, loss, new_network
from recsys.evaluation.baselines.sasrec.windows import endless_batches
from recsys.evaluation.baselines.validation import hold_out_last
from recsys.features.users import NO_ITEM, UserBatch

_USERS_AT_ONCE = 256  # always so many, so that a user's scores have the same bits in whatever batch
_LENGTH_STEP = 8
_BYTES_PER_SCORE = 4
_SECONDS_PER_MINUTE = 60.0

Progress = Callable[[int, float], None]
"""Told the number of the look at the validation positions, and the NDCG@10 there."""


@dataclass(frozen=True, slots=True)
class Sasrec:
    """A network over the items that have training events; only :func:`fit_sasrec` makes one."""

    network: Network
    config: StepConfig
    active_rows: NDArray[np.int64]  # shape (active,), rising item rows; the network's items
    preference: NDArray[np.int64]  # shape (items,), place from least to most popular, for ties

    def top(self, users: UserBatch, n: int) -> NDArray[np.int32]:
        """Return the items that most probably come next, shape (users, n)."""
        return best_rows(self._every_score(users), users, n, self.preference)

    def scores(self, users: UserBatch, item_rows: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the logits of the items, shape of ``item_rows``; unmet: the least of all."""
        every = self._every_score(users)
        least = np.where(np.isinf(every), np.inf, every).min(axis=1, keepdims=True)
        return chosen_scores(np.maximum(every, least), item_rows, self.preference)

    def _every_score(self, users: UserBatch) -> NDArray[np.float32]:
        """Return the score of every item, shape (users, items), -inf where nobody met it."""
        every = np.full((len(users), len(self.preference)), -np.inf, dtype=np.float32)
        length = len(self.network.places)
        known = _codes(self.active_rows, len(self.preference))[users.history_rows[:, length - 1 :: -1]]
        for start in range(0, len(users), _USERS_AT_ONCE):
            asked = known[start : start + _USERS_AT_ONCE]
            filled = np.pad(asked, ((0, _USERS_AT_ONCE - len(asked)), (0, 0)), constant_values=NO_ITEM)
            found = _score(self.network, jnp.asarray(filled), self.config)
            every[start : start + len(asked), self.active_rows] = np.asarray(found)[: len(asked)]
        every[users.n_positive == 0] = 0.0  # of whom nothing is known: what is popular
        return every


class _State(NamedTuple):
    network: Network
    optimiser: optax.OptState


class _Batch(NamedTuple):
    inputs: Array
    targets: Array


def fit(train: InteractionLog, items: pl.DataFrame) -> Sasrec:
    """Fit with the default settings."""
    return fit_sasrec(train, items, SasrecConfig())


def fit_sasrec(
    train: InteractionLog,
    items: pl.DataFrame,
    config: SasrecConfig,
    *,
    clock: Clock = monotonic_clock,
    on_look: Progress = lambda _, __: None,
) -> Sasrec:
    """Learn until lists for the validation positions get no better, and return the best that was seen.

    Args:
        train: what may be learned from; the latest positions of users are held out to judge by.
        items: not looked at.
        config: settings.
        clock: monotonic, for ``config.max_minutes``.
        on_look: told after each look at the validation positions.

    Raises:
        UnavailableError: nobody has two positions to learn from.
    """
    del items
    until_s = clock() + config.max_minutes * _SECONDS_PER_MINUTE
    validation = hold_out_last(train, seed=config.seed)
    if not (validation.past.lengths > 1).any():
        raise UnavailableError("sasrec", "nobody has two positions to learn from")
    active = np.unique(train.item_rows).astype(np.int64)
    preference = popularity_preference(train)
    state, course = _begin(_recoded(validation.past, active), config)
    chance = jax.random.key(config.seed + 1)
    best, best_quality, best_look = state.network, -np.inf, 0
    for look in range(1, config.max_looks + 1):
        for number, batch in islice(course, config.look_every_steps):
            state = _step(state, batch, jax.random.fold_in(chance, number), config.step)
            state.network.items.block_until_ready()  # else the clock would see how fast steps are asked for
            if clock() >= until_s:
                break
        quality = validation.quality(Sasrec(state.network, config.step, active, preference))
        on_look(look, quality)
        if np.isnan(quality):  # nobody to ask: what was learned while patience lasts
            best = state.network
        elif quality > best_quality:
            best, best_quality, best_look = state.network, quality, look
        if look - best_look >= config.patience_looks or clock() >= until_s:
            break
    return Sasrec(best, config.step, active, preference)


def _codes(active_rows: NDArray[np.int64], n_items: int) -> NDArray[np.int32]:
    """Return the network's number of each item row; NO_ITEM for the others, and for NO_ITEM itself."""
    codes = np.full(n_items + 1, NO_ITEM, dtype=np.int32)  # the last entry is what -1 finds
    codes[active_rows] = np.arange(len(active_rows))
    return codes


def _recoded(log: InteractionLog, active_rows: NDArray[np.int64]) -> InteractionLog:
    codes = _codes(active_rows, log.n_items)[log.item_rows]
    return replace(log, item_rows=codes, n_items=len(active_rows))


def _begin(log: InteractionLog, config: SasrecConfig) -> tuple[_State, Iterator[tuple[int, _Batch]]]:
    """Return a network that knows nothing, and the numbered batches that it will learn from."""
    longest = -(-int(log.lengths.max()) // _LENGTH_STEP) * _LENGTH_STEP
    length = min(config.max_length, longest)
    network = new_network(jax.random.key(config.seed), log.n_items, length, config.step)
    n_places = min(_places_per_step(log.n_items, config), 1 << len(log.item_rows).bit_length())
    windows = endless_batches(log, length, n_places, np.random.default_rng(config.seed))
    course = (_Batch(jnp.asarray(each.inputs), jnp.asarray(each.targets)) for each in windows)
    return _State(network, _optimiser(config.step).init(network)), enumerate(course)


def _optimiser(config: StepConfig) -> optax.GradientTransformation:
    rate = optax.linear_schedule(0.0, config.learning_rate, config.warm_up_steps + 1)
    return optax.adamw(rate, b2=0.98, weight_decay=config.weight_decay)


def _places_per_step(n_items: int, config: SasrecConfig) -> int:
    n_scored = config.step.n_negatives or n_items
    return min(config.places_per_step, int(config.max_scores_mb * 1e6 / (n_scored * _BYTES_PER_SCORE)))


@partial(jax.jit, static_argnames="config")
def _step(state: _State, batch: _Batch, key: Array, config: StepConfig) -> _State:
    slope = jax.grad(loss)(state.network, batch.inputs, batch.targets, key, config)
    change, optimiser = _optimiser(config).update(slope, state.optimiser, state.network)
    return _State(optax.apply_updates(state.network, change), optimiser)


@partial(jax.jit, static_argnames="config")
def _score(network: Network, item_rows: Array, config: StepConfig) -> Array:
    return hidden_states(network, item_rows, config)[:, -1] @ network.items.T
