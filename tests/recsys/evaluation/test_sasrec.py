from collections.abc import Callable
from functools import partial

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from recsys.core.errors import UnavailableError
from recsys.data.log import InteractionLog
from recsys.evaluation.answers import check_lists
from recsys.features.users import UserBatch, batch_at

pytest.importorskip("jax", reason="the extra 'baselines' is not installed")
pytest.importorskip("optax", reason="the extra 'baselines' is not installed")

import jax
import jax.numpy as jnp

from recsys.evaluation.baselines.sasrec.config import SasrecConfig, StepConfig
from recsys.evaluation.baselines.sasrec.network import hidden_states, loss, new_network
from recsys.evaluation.baselines.sasrec.training import Sasrec, fit_sasrec

pytestmark = pytest.mark.slow  # each test compiles a network of its own
LogOf = Callable[[list[list[tuple[int, float]]], int], InteractionLog]
NO_CATALOGUE = pl.DataFrame()
STEP = StepConfig(dimensions=16, n_blocks=1, dropout=0.1, n_negatives=6, learning_rate=2e-2, warm_up_steps=0)
SMALL = SasrecConfig(step=STEP, look_every_steps=5)


def rounds(log_of: LogOf, n_items: int = 12) -> InteractionLog:
    """Make 48 users who go round 12 items, each from another start, half of them the other way round.

    Every test learns from arrays of this one shape: only the first waits for the compiler.
    """
    starts = [(start, way) for way in (1, -1) for start in range(24)]
    return log_of(
        [[((start + way * step) % 12, float(step)) for step in range(5)] for start, way in starts], n_items
    )


def after(model: Sasrec, item_rows: list[int]) -> list[int]:
    history = np.array(item_rows, dtype=np.int32)
    n = len(history)
    users = UserBatch(
        np.pad(history[::-1], (0, 100 - n), constant_values=-1)[None, :],
        np.zeros((1, 100)),
        np.array([n]),
        np.zeros(1),
        np.zeros(1, dtype=np.int16),
        np.array([0, n]),
        history,
    )
    rows: list[int] = model.top(users, 1)[0].tolist()
    return rows


def test_what_comes_next_is_learned_from_the_order_and_not_only_from_what_was_met(log_of: LogOf) -> None:
    model = fit_sasrec(rounds(log_of), NO_CATALOGUE, SMALL)
    for place in range(12):
        assert after(model, [(place + step) % 12 for step in (0, 1, 2)]) == [(place + 3) % 12]
        assert after(model, [(place + step) % 12 for step in (2, 1, 0)]) == [(place - 1) % 12]


def test_one_seed_gives_one_model_and_another_seed_another(log_of: LogOf) -> None:
    config = SMALL.model_copy(update={"max_looks": 3})
    log = rounds(log_of)
    once, again = (fit_sasrec(log, NO_CATALOGUE, config).network for _ in range(2))
    other = fit_sasrec(log, NO_CATALOGUE, config.model_copy(update={"seed": 1})).network
    for first, second in zip(jax.tree.leaves(once), jax.tree.leaves(again), strict=True):
        assert np.array_equal(first, second)
    assert not np.array_equal(once.items, other.items)


def test_learning_stops_when_the_time_is_up(log_of: LogOf) -> None:
    ticks = iter(range(10_000))
    looks: list[int] = []
    fit_sasrec(
        rounds(log_of),
        NO_CATALOGUE,
        SMALL.model_copy(update={"max_minutes": 0.2}),  # of a clock that ticks a second when asked
        clock=lambda: float(next(ticks)),
        on_look=lambda look, _: looks.append(look),
    )
    assert looks == [1, 2]


def test_learning_stops_after_enough_looks_without_gain(log_of: LogOf) -> None:
    found: list[float] = []
    config = SMALL.model_copy(update={"patience_looks": 4})
    fit_sasrec(rounds(log_of), NO_CATALOGUE, config, on_look=lambda _, quality: found.append(quality))
    assert len(found) < config.max_looks
    assert int(np.argmax(found)) == len(found) - 1 - 4


def test_lists_hold_unseen_items_once_and_one_user_gets_what_a_batch_gets(log_of: LogOf) -> None:
    log = rounds(log_of, n_items=14)
    model = fit_sasrec(log, NO_CATALOGUE, SMALL.model_copy(update={"max_looks": 1}))
    stops = log.offsets[:-1] + np.arange(log.n_users) % 6
    users = batch_at(log, np.arange(log.n_users), stops, np.full(log.n_users, 9.0))
    top = model.top(users, 14)
    check_lists("sasrec", top, users, 14, 14)
    assert ((top >= 0).sum(axis=1) == 14 - np.arange(log.n_users) % 6).all()
    assert (np.sort(top[:, :14] * (top >= 0), axis=1)[:, -2:] == [12, 13]).all()
    for user in (0, 5, 47):
        assert model.top(users.slice(user, user + 1), 14)[0].tolist() == top[user].tolist()


def test_items_never_met_come_last_and_a_new_user_gets_what_is_popular(log_of: LogOf) -> None:
    log = rounds(log_of, n_items=14)
    model = fit_sasrec(log, NO_CATALOGUE, SMALL.model_copy(update={"max_looks": 1}))
    nobody = batch_at(log, np.array([0]), log.offsets[:1], np.array([3.0]))
    assert model.top(nobody, 14).tolist() == [list(range(14))]  # all as popular: in order of their rows
    somebody = batch_at(log, np.array([0]), log.offsets[1:2], np.array([9.0]))
    assert model.top(somebody, 9)[0, -2:].tolist() == [12, 13]


def test_nobody_to_learn_from_is_said(log_of: LogOf) -> None:
    with pytest.raises(UnavailableError, match="two positions"):
        fit_sasrec(log_of([[(0, 1.0)], [(1, 1.0)]], 2), NO_CATALOGUE, SMALL)


def test_a_place_knows_nothing_of_later_items_nor_of_the_padding() -> None:
    config = StepConfig(dimensions=8, n_heads=2)
    states = jax.jit(partial(hidden_states, config=config))
    network = new_network(jax.random.key(0), 6, 4, config)
    long = states(network, jnp.array([[2, 4, 1, 5]]))
    other_end = states(network, jnp.array([[2, 4, 1, 0]]))
    assert np.allclose(long[:, :3], other_end[:, :3], atol=1e-6)
    assert not np.allclose(long[:, 3], other_end[:, 3], atol=1e-3)
    padded = states(network, jnp.array([[-1, -1, 1, 5]]))[:, 2:]
    unlike = network._replace(places=network.places.at[:2].set(9.0))  # places that nobody stands at
    assert np.allclose(padded, states(unlike, jnp.array([[-1, -1, 1, 5]]))[:, 2:], atol=1e-6)
    narrow = states(network, jnp.array([[1, 5]]))  # the padding left out: the same places
    assert np.allclose(padded, narrow, atol=1e-6)


@pytest.mark.parametrize(
    ("n_items", "n_negatives", "n_choices"),
    [
        (50, None, 50),
        (10_000, 6, 7),  # odds of 2 in 1,000 that a target is drawn, under one seed
        (1, 6, 1),  # a target is not its own rival
    ],
)
def test_a_network_that_knows_nothing_loses_as_much_as_a_guess(
    n_items: int, n_negatives: int | None, n_choices: int
) -> None:
    config = StepConfig(dimensions=8, dropout=0.0, n_blocks=1, n_negatives=n_negatives)
    network = new_network(jax.random.key(0), n_items, 4, config)
    blind = network._replace(items=network.items * 0.0)
    rows = jnp.array([[-1, 3, 4, 5]])
    rows = jnp.where(rows < 0, rows, jnp.minimum(rows, n_items - 1))
    found = jax.jit(partial(loss, config=config))(blind, rows, rows, jax.random.key(1))
    assert float(found) == pytest.approx(np.log(n_choices))


def test_heads_must_divide_the_dimensions() -> None:
    with pytest.raises(ValidationError, match="multiple of n_heads"):
        StepConfig(dimensions=10, n_heads=4)
