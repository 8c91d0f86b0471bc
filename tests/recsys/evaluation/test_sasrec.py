from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from recsys.data.log import InteractionLog
from recsys.features.users import UserBatch, batch_at

pytest.importorskip("jax", reason="the extra 'baselines' is not installed")
pytest.importorskip("optax", reason="the extra 'baselines' is not installed")

import jax
import jax.numpy as jnp

from recsys.evaluation.baselines.sasrec.config import SasrecConfig
from recsys.evaluation.baselines.sasrec.network import hidden_states, loss, new_network
from recsys.evaluation.baselines.sasrec.training import Sasrec, fit_sasrec

pytestmark = pytest.mark.slow  # each test compiles a network of its own
LogOf = Callable[[list[list[tuple[int, float]]], int], InteractionLog]
NO_CATALOGUE = pl.DataFrame()
SMALL = SasrecConfig(
    dimensions=16, n_blocks=1, dropout=0.0, learning_rate=1e-2, warm_up_steps=0, look_every_steps=5
)


def cycles(log_of: LogOf) -> InteractionLog:
    """Make 24 users, each of whom goes round 12 items in the same order, from another start."""
    return log_of([[((start + step) % 12, float(step)) for step in range(5)] for start in range(24)], 12)


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


@pytest.mark.parametrize("n_negatives", [None, 6])
def test_what_always_comes_next_is_learned(log_of: LogOf, n_negatives: int | None) -> None:
    log = cycles(log_of)
    model = fit_sasrec(log, NO_CATALOGUE, SMALL.model_copy(update={"n_negatives": n_negatives}))
    assert [after(model, [(i + step) % 12 for step in range(4)]) for i in range(12)] == [
        [(i + 4) % 12] for i in range(12)
    ]


def test_order_decides_not_only_what_was_met(log_of: LogOf) -> None:
    forwards, backwards = ([(0, 1.0), (1, 2.0), (2, 3.0)], [(1, 1.0), (0, 2.0), (3, 3.0)])
    longer = [[*user, (4, 4.0)] for user in (forwards, backwards)]  # the last position is held out
    log = log_of([forwards, backwards, *longer] * 10, 5)
    model = fit_sasrec(log, NO_CATALOGUE, SMALL)
    assert after(model, [0, 1]) == [2]
    assert after(model, [1, 0]) == [3]


def test_one_seed_gives_one_model_and_another_seed_another(log_of: LogOf) -> None:
    config = SMALL.model_copy(update={"max_looks": 3, "dropout": 0.3})
    log = cycles(log_of)
    once, again = (fit_sasrec(log, NO_CATALOGUE, config).network for _ in range(2))
    other = fit_sasrec(log, NO_CATALOGUE, config.model_copy(update={"seed": 1})).network
    assert jax.tree.all(jax.tree.map(np.array_equal, once, again))
    assert not np.array_equal(once.items, other.items)


def test_learning_stops_when_the_time_is_up(log_of: LogOf) -> None:
    ticks = iter(range(10_000))
    looks: list[int] = []
    fit_sasrec(
        cycles(log_of),
        NO_CATALOGUE,
        SMALL.model_copy(update={"max_minutes": 0.2}),  # of a clock that ticks a second when asked
        clock=lambda: float(next(ticks)),
        on_look=lambda look, _: looks.append(look),
    )
    assert looks == [1, 2]


def test_learning_stops_after_enough_looks_without_gain(log_of: LogOf) -> None:
    found: list[float] = []
    config = SMALL.model_copy(update={"patience_looks": 4})
    fit_sasrec(cycles(log_of), NO_CATALOGUE, config, on_look=lambda _, quality: found.append(quality))
    assert len(found) < config.max_looks
    assert int(np.argmax(found)) == len(found) - 1 - 4
    assert max(found) > 0.9


def test_a_place_knows_nothing_of_later_items_nor_of_the_padding() -> None:
    config = SasrecConfig(dimensions=8, n_heads=2)
    network = new_network(jax.random.key(0), 6, 4, config)
    long = hidden_states(network, jnp.array([[2, 4, 1, 5]]), config)
    other_end = hidden_states(network, jnp.array([[2, 4, 1, 0]]), config)
    assert np.allclose(long[:, :3], other_end[:, :3], atol=1e-6)
    assert not np.allclose(long[:, 3], other_end[:, 3], atol=1e-3)
    padded = hidden_states(network, jnp.array([[-1, -1, 1, 5]]), config)
    network = network._replace(places=network.places.at[:2].set(9.0))  # places that nobody stands at
    assert np.allclose(
        padded[:, 2:], hidden_states(network, jnp.array([[-1, -1, 1, 5]]), config)[:, 2:], atol=1e-6
    )


def test_a_network_that_knows_nothing_loses_as_much_as_a_guess() -> None:
    config = SasrecConfig(dimensions=8, dropout=0.0)
    network = new_network(jax.random.key(0), 50, 4, config)
    blind = network._replace(items=network.items * 0.0)
    inputs, targets = jnp.array([[-1, 3, 4, 5]]), jnp.array([[-1, 4, 5, 6]])
    assert float(loss(blind, inputs, targets, jax.random.key(1), config)) == pytest.approx(np.log(50))


def test_heads_must_divide_the_dimensions() -> None:
    with pytest.raises(ValidationError, match="multiple of n_heads"):
        SasrecConfig(dimensions=10, n_heads=4)


def test_items_never_met_come_last_and_a_new_user_gets_what_is_popular(log_of: LogOf) -> None:
    log = log_of([[(1, 1.0), (2, 2.0)], [(2, 1.0)], [(2, 1.0), (1, 2.0)]], 4)
    model = fit_sasrec(log, NO_CATALOGUE, SMALL.model_copy(update={"max_looks": 2}))
    nobody = batch_at(log, np.array([0]), log.offsets[:1], np.array([3.0]))
    assert model.top(nobody, 4).tolist() == [[2, 1, 0, 3]]
