"""The network: embeddings, causal self-attention, and the loss at every place.

Source: Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018; normalised before each layer,
as in the authors' code. The loss is the softmax over all items, or over a sample, which has been found to
serve this network far better than the published one negative per target: Klenitskiy and Vasilev, "Turning
Dross Into Gold Loss: is BERT4Rec really better than SASRec?", RecSys 2023.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from recsys.evaluation.baselines.sasrec.config import StepConfig

_TINY = 1e-6  # keeps a norm from dividing by zero
_NEVER = -1e9  # score of what must not be chosen


class Norm(NamedTuple):
    """Layer normalisation."""

    scale: Array  # shape (dimensions,)
    shift: Array  # shape (dimensions,)


class Block(NamedTuple):
    """Attention and a feed-forward layer; every matrix is of shape (dimensions, dimensions)."""

    before_attention: Norm
    query: Array
    key: Array
    value: Array
    attended: Array
    before_feed: Norm
    inner: Array
    inner_shift: Array  # shape (dimensions,)
    outer: Array
    outer_shift: Array  # shape (dimensions,)


class Network(NamedTuple):
    """Everything that is learned."""

    items: Array  # shape (items, dimensions)
    places: Array  # shape (length, dimensions)
    blocks: tuple[Block, ...]
    last: Norm


@partial(jax.jit, static_argnames=("n_items", "length", "config"))
def new_network(key: Array, n_items: int, length: int, config: StepConfig) -> Network:
    """Return a network that knows nothing yet."""
    width = config.dimensions
    of_items, of_places, *of_blocks = jax.random.split(key, 2 + config.n_blocks)
    small = partial(jax.random.normal, dtype=jnp.float32)
    return Network(
        small(of_items, (n_items, width)) * 0.02,
        small(of_places, (length, width)) * 0.02,
        tuple(_new_block(each, width) for each in of_blocks),
        _new_norm(width),
    )


def _new_norm(width: int) -> Norm:
    return Norm(jnp.ones(width), jnp.zeros(width))


def _new_block(key: Array, width: int) -> Block:
    glorot = jax.nn.initializers.glorot_normal()
    query, key_, value, attended, inner, outer = (
        glorot(each, (width, width), jnp.float32) for each in jax.random.split(key, 6)
    )
    nothing = jnp.zeros(width)
    norms = _new_norm(width), _new_norm(width)
    return Block(norms[0], query, key_, value, attended, norms[1], inner, nothing, outer, nothing)


def hidden_states(
    network: Network, item_rows: Array, config: StepConfig, dropout_key: Array | None = None
) -> Array:
    """Return what the network makes of the history up to each place.

    Args:
        network: what was learned.
        item_rows: shape (windows, width), old to new, -1 where padded in front; at most as wide as
            ``network.places``, the last of which is where the latest item stands.
        config: heads and dropout.
        dropout_key: of this step's dropout; absent when not learning.

    Returns:
        shape (windows, width, dimensions); inner products with ``network.items`` are scores.
    """
    real = item_rows >= 0
    keys = (
        [None] * (1 + 2 * config.n_blocks)
        if dropout_key is None
        else (list(jax.random.split(dropout_key, 1 + 2 * config.n_blocks)))
    )
    places = network.places[len(network.places) - item_rows.shape[1] :]
    embedded = network.items[jnp.maximum(item_rows, 0)] * config.dimensions**0.5 + places
    state = _dropped(embedded * real[:, :, None], config.dropout, keys[0])
    for number, block in enumerate(network.blocks):
        attended = _attention(block, _normed(block.before_attention, state), real, config.n_heads)
        state = state + _dropped(attended, config.dropout, keys[2 * number + 1])
        fed = _feed(block, _normed(block.before_feed, state))
        state = state + _dropped(fed, config.dropout, keys[2 * number + 2])
    return _normed(network.last, state)


def loss(network: Network, inputs: Array, targets: Array, key: Array, config: StepConfig) -> Array:
    """Return the mean cross-entropy of the targets, those padded left out; shape ()."""
    for_dropout, for_negatives = jax.random.split(key)
    states = hidden_states(network, inputs, config, for_dropout)
    real = targets >= 0
    rows = jnp.maximum(targets, 0)
    if config.n_negatives is None:
        each = optax.softmax_cross_entropy_with_integer_labels(states @ network.items.T, rows)
    else:
        each = _sampled_loss(network, states, rows, for_negatives, config.n_negatives)
    return jnp.sum(each * real) / jnp.maximum(real.sum(), 1)


def _sampled_loss(network: Network, states: Array, rows: Array, key: Array, n_negatives: int) -> Array:
    """Return the cross-entropy against the same uniform sample for every place, shape (windows, width)."""
    drawn = jax.random.randint(key, (n_negatives,), 0, len(network.items))
    right = jnp.sum(states * network.items[rows], axis=-1)
    wrong = states @ network.items[drawn].T
    wrong = jnp.where(rows[:, :, None] == drawn, _NEVER, wrong)
    return jnp.logaddexp(right, jax.nn.logsumexp(wrong, axis=-1)) - right


def _attention(block: Block, state: Array, real: Array, n_heads: int) -> Array:
    heads = (*state.shape[:2], n_heads, state.shape[2] // n_heads)
    query, key, value = (jnp.reshape(state @ each, heads) for each in (block.query, block.key, block.value))
    seen = jax.nn.dot_product_attention(query, key, value, mask=real[:, None, None, :], is_causal=True)
    return jnp.reshape(seen, state.shape) @ block.attended


def _feed(block: Block, state: Array) -> Array:
    return jax.nn.relu(state @ block.inner + block.inner_shift) @ block.outer + block.outer_shift


def _normed(norm: Norm, state: Array) -> Array:
    centred = state - state.mean(axis=-1, keepdims=True)
    spread = jnp.sqrt(jnp.mean(centred**2, axis=-1, keepdims=True) + _TINY)
    return norm.scale * centred / spread + norm.shift


def _dropped(state: Array, rate: float, key: Array | None) -> Array:
    if key is None or rate == 0.0:
        return state
    kept = jax.random.bernoulli(key, 1.0 - rate, state.shape)
    return jnp.where(kept, state / (1.0 - rate), 0.0)
