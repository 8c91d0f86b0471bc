"""An exploring service in a simulated world: what is estimated of another policy against what is true.

``python -m pytest -s tests/recsys/experiments/test_off_policy_simulated.py`` prints the figures of
docs/exploration.md.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from recsys.experiments.off_policy import Estimate, LoggedChoices, cross_fitted, estimate
from recsys.reranking.exploration import Chance, Drawn, ExplorationConfig, draw
from recsys.simulation.scenario import Scenario
from recsys.simulation.world import World, make_world

N_TRIALS, N_USERS, LISTS_PER_USER, ALPHA = 400, 400, 2, 0.05
N_CANDIDATES = 8
EXPLORING = ExplorationConfig(share=1.0, places=(1,), n_choices=N_CANDIDATES - 1)


@dataclass(frozen=True)
class Service:
    """Candidates of every user, what two rankings think of them, and what is true."""

    item_rows: NDArray[np.int32]  # shape (users, candidates)
    serving: NDArray[np.float32]  # same shape: scores of the ranking that serves
    other: NDArray[np.float64]  # same shape: scores of the one that is asked about
    watched: NDArray[np.float64]  # same shape: chance of a watch

    @property
    def truth(self) -> float:
        """What the other ranking's best would be worth to all users."""
        best = np.argmax(self.other, axis=1)[:, None]
        return float(np.take_along_axis(self.watched, best, axis=1).mean())


def service_of(world: World) -> Service:
    rng = np.random.default_rng(5)
    users = np.arange(world.n_users)
    rows = np.stack([rng.choice(world.catalogue.n_items, N_CANDIDATES, replace=False) for _ in users])
    affinity = world.affinity(users, rows, world.scenario.ends_s)
    noise = rng.normal(0.0, 0.3, (2, *rows.shape))
    watched = world.watch_probability(users, rows, world.scenario.ends_s)
    serving = (world.catalogue.quality[rows] + noise[0]).astype(np.float32)
    return Service(rows.astype(np.int32), serving, affinity + noise[1], watched.astype(np.float64))


class Trial(NamedTuple):
    ips: Estimate
    snips: Estimate
    doubly_robust: Estimate


def trial(service: Service, config: ExplorationConfig, seed: int) -> Trial:
    """Let users ask, chance draw, and users watch; then estimate what the other ranking is worth."""
    rng = np.random.default_rng([seed, 11])
    who = np.repeat(rng.integers(len(service.item_rows), size=N_USERS), LISTS_PER_USER)
    drawn = [_drawn(service, config, int(user), rng) for user in who]
    choices = np.stack([each.choices for each in drawn])
    watched = service.watched[who[:, None], choices]
    taken = np.array([each.chosen for each in drawn])
    rewards = (rng.random(len(who)) < watched[np.arange(len(who)), taken]).astype(np.float64)
    offsets = np.arange(len(who) + 1, dtype=np.int64) * N_CANDIDATES
    chances = np.concatenate([each.chances for each in drawn])
    units = np.repeat(np.arange(N_USERS), LISTS_PER_USER)
    logged = LoggedChoices(offsets, chances, offsets[:-1] + taken, rewards, units)
    scores = service.other[who[:, None], choices].ravel()
    features = np.column_stack([scores, service.serving[who[:, None], choices].ravel()])
    found = estimate(logged, logged.best(scores), predicted=cross_fitted(logged, features), alpha=ALPHA)
    assert found.doubly_robust is not None
    return Trial(found.ips, found.snips, found.doubly_robust)


def _drawn(service: Service, config: ExplorationConfig, user: int, rng: np.random.Generator) -> Drawn:
    scores = service.serving[user]
    top = np.array([np.argmax(scores)], dtype=np.int32)
    found = draw(top, service.item_rows[user], scores, config, Chance(rng.random(), rng.random()))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def service() -> Service:
    scenario = Scenario(name="off-policy", n_users=400, n_items=120, n_events=400, n_topics=8)
    return service_of(make_world(scenario, seed=2))


@pytest.mark.slow
def test_the_truth_lies_in_the_interval_as_often_as_promised(service: Service) -> None:
    trials = [trial(service, EXPLORING, seed) for seed in range(N_TRIALS)]
    spread: dict[str, float] = {}
    for name in Trial._fields:
        found: list[Estimate] = [getattr(one, name) for one in trials]
        missed = sum(not one.lower <= service.truth <= one.upper for one in found)
        values = np.array([one.value for one in found])
        spread[name] = float(values.std(ddof=1))
        said = float(np.mean([one.standard_error for one in found]))
        figures = f"missed {missed}, bias {values.mean() - service.truth:+.4f}, spread {spread[name]:.4f}"
        print(f"{name}: {figures}, said {said:.4f}")  # noqa: T201
        # each side: one false alarm in 10,000 if intervals miss as often as they say
        assert binom.ppf(1e-4, N_TRIALS, ALPHA) <= missed <= binom.isf(1e-4, N_TRIALS, ALPHA), name
        # five standard errors of the mean of the trials: one false alarm in 1.7 million
        assert abs(values.mean() - service.truth) < 5 * spread[name] / np.sqrt(N_TRIALS), name
    assert spread["doubly_robust"] < spread["ips"]
    assert spread["snips"] < spread["ips"]
