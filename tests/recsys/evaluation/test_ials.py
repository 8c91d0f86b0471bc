from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_matrix

from recsys.data.log import InteractionLog
from recsys.features.users import batch_at

pytest.importorskip("implicit", reason="the extra 'baselines' is not installed")

from recsys.evaluation.baselines.ials import IalsConfig, IalsSetting, fit_ials

LogOf = Callable[[list[list[tuple[int, float]]], int], InteractionLog]
NO_CATALOGUE = pl.DataFrame()
SETTING = IalsSetting(n_factors=4, alpha=8.0, l2=0.5)
PAIRS = [[(0, 1.0), (1, 2.0)]] * 3 + [[(2, 1.0), (3, 2.0)]] * 4 + [[(0, 1.0)]]


def test_what_the_same_users_met_comes_first(log_of: LogOf) -> None:
    log = log_of(PAIRS, 5)
    model = fit_ials(log, NO_CATALOGUE, IalsConfig(settings=(SETTING,)))
    asked = batch_at(log, np.array([7]), log.offsets[8:9], np.array([9.0]))
    assert model.top(asked, 4)[0, 0] == 1
    assert model.top(asked, 4)[0, -1] == 4  # never met by anybody: last


def test_a_history_is_solved_for_with_the_weights_of_the_paper(log_of: LogOf) -> None:
    log = log_of(PAIRS, 5)
    model = fit_ials(log, NO_CATALOGUE, IalsConfig(settings=(SETTING,)))
    items = model.factors.item_factors.astype(np.float64)
    met = np.array([True, True, False, False, False])
    weights = np.where(met, SETTING.alpha, 1.0)
    wanted = np.linalg.solve((items.T * weights) @ items + SETTING.l2 * np.eye(4), items.T @ (weights * met))
    found = model.factors.recalculate_user(np.arange(1), csr_matrix(met[None, :].astype(np.float32)))
    assert found[0] == pytest.approx(wanted, rel=1e-3, abs=1e-4)


def test_one_seed_gives_one_model(log_of: LogOf) -> None:
    log = log_of(PAIRS, 5)
    once, again = (fit_ials(log, NO_CATALOGUE, IalsConfig(settings=(SETTING,))) for _ in range(2))
    assert np.array_equal(once.factors.item_factors, again.factors.item_factors)
